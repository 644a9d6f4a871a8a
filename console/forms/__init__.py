"""What a form's inputs are to the documents of a connection, both ways; the database says whether they make sense."""
