"""The whole way at a glance: `python -m sandbox.demo` (make demo). Each step is a module beside this one."""
