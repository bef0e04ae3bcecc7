//! Tests of the broker with its sockets, in this process where its store or its shutdown must be in hand, and as the
//! program where it is killed. Each test has its own broker and, where it needs one, its own folder.

mod chaos;
mod client;
mod cursors;
mod durable;
mod flag;
mod groups;
mod join;
mod kill;
mod limits;
mod narrow;
mod places;
mod program;
mod routing;
mod seed;
mod selectors;
mod server;
mod shares;
mod slow;
mod store_failures;
mod values;
mod wills;
