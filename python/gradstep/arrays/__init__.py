"""Arrays that users give: their structure, their memory, and what may become of them."""
