//! What we write. Pure: data in, mail out.
