//! Every ending of a call in plain words.
