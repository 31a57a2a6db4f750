"""Tell people by any of the services that Apprise knows."""
