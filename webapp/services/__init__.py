"""Use cases. The only writers besides the engine's recorder: one function for each thing a person or script may ask
for, one commit for each. Rules come from ``domain``, tables from ``store``; nothing here knows of forms or HTTP.
"""
