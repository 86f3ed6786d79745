//! Jobs, renditions, calls, legs and page reports: what is to be sent and how it went.
