"""A CRM that exists in the tests only: its module, its emulator, its samples."""
