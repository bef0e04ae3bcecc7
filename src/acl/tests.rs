//! Rules against requests, in tables and against a naive model.
