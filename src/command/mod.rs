//! The command language: one line is one command, the same through every door.
