"""The door: what guests are promised, who may enter, and the one place where they are asked."""
