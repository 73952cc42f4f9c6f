"""The shape of what people type: fields, labels, help. What it means is decided by services and domain."""
