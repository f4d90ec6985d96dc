"""Large files: uploads that survive a broken connection and a restarted server, downloads with ranges."""
