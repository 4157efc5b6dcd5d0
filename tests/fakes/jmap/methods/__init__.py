"""What each JMAP method does; `table` lists them."""
