"""Stories: a candidate becomes an intent, an intent becomes fills, fills become books."""
