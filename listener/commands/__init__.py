"""The commands of `crm-sync`: what the daemon does not need. `listener.cli` finds each when it is asked for."""
