"""The forms of a report: text, JSON, CSV, JUnit and the page."""
