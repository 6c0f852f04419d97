"""Which engines exist, which are installed, and how one is installed.

`manifest` reads what the package and the user say of each backend; `environments` knows the
virtual environments on this host; `plan` decides (pure) what an install has to do, and `install`
does it with uv. Nothing here runs an engine: that is the supervisor's, and only its launcher asks
where an environment lies.
"""
