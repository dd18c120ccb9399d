"""The tests: of the installed package, over real HTTP wherever a request is sent."""
