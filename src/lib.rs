//! RewindMQ: an MQTT 5 and 3.1.1 broker whose every topic can be rewound.
//!
//! The `rewindmq` program is a thin shell around this crate. A broker can also be embedded: [`server::Server::start`] binds
//! the configured listeners (port 0 works) on the configured store, and [`server::Server::start_on`] on one of your own. Guides for
//! users are in [`guide`].
//!
//! # The idea: one log, many cursors
//!
//! Every stored event is one record in one log, in commit order. Every reader is a cursor on it: a replay subscription,
//! a group and a durable session differ only in where the cursor starts and who moves it. A reader that is away costs a cursor and no
//! queue, an event is written once however many wait for it, and going from catching up to following live is one loop
//! that reaches the tail, not a hand-over between two mechanisms.
//!
//! # Floors
//!
//! A module uses only lower floors; modules of one floor do not know each other, except where a line says so.
//!
//! | floor | module | what it holds |
//! |---|---|---|
//! | 0 | [`types`] | identifiers, QoS, reason codes, messages, the clock (the only place that asks the time) |
//! | 1 | [`topic`] | topic names, filters, the subscription trie, topic <-> channel names |
//! | 1 | [`selector`] | which messages a subscriber wants: the language, and its evaluation; knows values, no message |
//! | 1 | [`codec`] | packets of both protocol versions <-> bytes, strictly checked |
//! | 1 | [`config`] | one TOML tree, already valid when loaded (its rules are topic filters, so it knows [`topic`]) |
//! | 1 | [`metrics`] | every metric named, described and registered in one place |
//! | 2 | [`acl`] | who may do what: the rules of access control files, and which of them decides |
//! | 2 | [`auth`] | users, their secrets, and the exchange that proves one of them |
//! | 2 | [`cursor`] | start options, acknowledgement floor, group logic; pure |
//! | 2 | [`session`] | the state machine of one client; pure: packets in, packets and actions out |
//! | 2 | [`store`] | LMDB tables and their encodings; a store in memory and one that fails, for tests |
//! | 3 | [`log`] | commands as data, the writer with its group commit, readers |
//! | 3 | [`inspect`] | what a data folder holds, told to people; reads only |
//! | 3 | [`router`] | subscriptions -> targets, live groups, retained messages; no I/O |
//! | 4 | [`broker`] | the only place that knows session, router and log |
//! | 5 | [`net`] | listeners (TCP, TLS, WebSocket, Unix sockets, PROXY protocol), the driver of one connection, and the way to a broker for a client |
//! | 5 | [`admin`] | HTTP: metrics, health, the API that shows and changes a running broker |
//! | 6 | [`server`] | wiring, signals, the ordered stop, what the service manager is told |
//! | 6 | [`guide`] | no code: guides for users, such as the replay cookbook |
//! | 7 | [`cli`] | flags, environment, `rewindmq check`, `backup`, `inspect`, `acl` and others without a broker; commands to a running one over its API; `pub` and `sub`, a client of MQTT 5 for any broker |
//!
//! # The way of a message
//!
//! `net::opening` goes through what comes before CONNECT: a proxy's header, TLS, WebSocket. From there on a connection is a
//! stream of bytes; that of plain TCP is known by its type, so that it pays for none of the others.
//!
//! `net::connection` reads bytes; [`codec::decode`] cuts packets out of them, borrowing; [`session::Session`] decides
//! what a packet means for the client's own state and hands a PUBLISH to the broker. There the configured rules and the
//! publisher's `store` property decide whether it is kept.
//!
//! - **Not kept**: it is routed at once. Each session that wants it gets it into its mailbox (the outbox); at the end of
//!   the turn every touched mailbox is locked once and its session woken once. The common case needs no message in
//!   between: a PUBLISH that nobody keeps, without RETAIN, alias and expiry, is copied from the input behind others for
//!   the same session, or once for each kind of subscriber (version, QoS, identifiers, selector) of a topic with many. Such a
//!   *run* of packets is handed over as one, shared by all who get it; a session copies it to its output and fills in its
//!   packet identifiers. A client that uses aliases or limits the packet size takes the run apart.
//! - **Kept**: it goes to the log as a command. One writer thread takes everything that arrived while the last
//!   transaction was syncing, gives each event its position and sequence, and commits it in one LMDB transaction. Only
//!   then does the log's tail thread hand the commit back: the event is routed, and the publisher's session may write
//!   its PUBACK. An acknowledgement before the commit is impossible by construction, and an event that the store
//!   refuses is delivered to nobody.
//!
//! A message that is not kept but follows one that is, from the same client, passes through the log unwritten, so that
//! the publisher's order holds.
//!
//! # Durable sessions
//!
//! A session with an expiry has a *place* in the log: one cursor for all its plain subscriptions. A QoS 1 or 2 message that
//! one of them matches is kept before it is acknowledged, as the stored event that it is anyway or as a **held** record,
//! once for all such sessions. A session that is away is no target of routing; the route only knows that the message
//! must be held. A session that is here gets it from the commit through its mailbox, as long as it keeps up, and from the log otherwise.
//!
//! The writer removes a held record when every durable session with a matching subscription has passed it. It asks
//! for each channel whom it waits for, and remembers that one: nothing is counted per session and message.
//!
//! What a session must not forget is rows: the session, its subscriptions, its place with the packet identifiers in flight,
//! the QoS 2 identifiers it received, its will. They change through the log's commands. Three rules make QoS 2 exact over
//! `kill -9`: a message and the identifier it came with are one transaction; a PUBLISH of QoS 2 and a PUBREL go out only when
//! the place on disk says so; a PUBCOMP only when the identifier is gone from there. Messages in flight are not in memory
//! while their client is away: they are read from the log by position when it comes back.
//!
//! A shared subscription without a start option lives in memory until a durable session joins it; then it becomes a group with a
//! cursor, and its other members follow. What a member without a durable session leaves behind goes to the others.
//!
//! # Selectors
//!
//! A subscription's selector is compiled once per text and shared. A route knows the distinct selectors of its targets: a
//! message is looked at once by each of them, its properties are scanned once and its payload is parsed at most once for all.
//! A route without selectors pays one test. What a target's selector skips is put into no mailbox; whether a message is held is
//! decided by what the durable sessions' selectors want. Whoever reads the log looks at each record with its own
//! selector. A reader that follows the tail is not woken for what was skipped: now and then its cursor is moved up to
//! what was handed out to all.
//!
//! # Access rules
//!
//! What a client may do with a message depends on its topic, and so does a route: who may not read a topic is left out of
//! its route, so that rules cost a look once per topic and set of rules and nothing per message. Other rules make all routes be
//! made anew. A member of a shared subscription or a group is asked when a message is given to it. What comes to a session
//! another way - queued before the rules changed, read from the log, retained - is looked at when it is sent, but only for a
//! session with a subscription of which a part is denied. A publisher is asked when its topic is looked up. Without rules each
//! of these is one test of a number.
//!
//! # Readers and the join with live traffic
//!
//! A replay subscription has a lane in its session's mailbox. While it is *behind*, events that arrive are only noted in
//! the lane (the highest position seen), and the reader takes them from the log in bounded batches. When it has read
//! as far as the lane has seen, the lane is switched to *live* under the mailbox's lock: whatever comes from then on
//! is queued, and whatever came before has been read. A lane whose queue outgrows its bound is sent back to *behind*.
//! There is no gap because a position is either noted or queued, and no duplicate because positions only ascend.
//!
//! Behind the tail, a filter with few matching channels is read by their indexes, merged by position; one with many by a scan of the
//! log: what costs less, by what was measured.
//!
//! A group with a cursor works the same way, with one reader for all members: a member asks for work when it has free
//! Receive Maximum, and whoever asks first reads for all.
//!
//! # Threads
//!
//! One single-threaded runtime per worker; a connection stays on the worker that got it. One writer thread and one tail
//! thread for the log. Sessions are owned by their connection's task; others only put something into the mailbox.
//!
//! The main thread has a runtime of its own: it accepts connections, serves HTTP, publishes `$SYS`, looks after certificates and what
//! expires, and waits for signals. Passwords and tokens are checked by a small pool of threads, what the API reads from the log is read by
//! others, and a store that does not sync each commit has one that does so at intervals.
//!
//! An idle connection holds no buffer: buffers go round among the busy ones of a worker. What a client needs only for QoS 1
//! and 2, aliases, a will or replay is made when it is used.
//!
//! # What is assumed of the disk
//!
//! LMDB commits with fdatasync: what was acknowledged survives a power loss if the disk keeps what it said it wrote.
//! `kill -9` of the broker loses nothing that was acknowledged. A commit that fails poisons the log: from then on stored
//! events are refused with 0x83 until a restart, reading goes on, and the log says why.
//!
//! With `store.durability = "async"` a thread of the store syncs at intervals instead. `kill -9` still loses nothing, but
//! a power loss takes what was not synced, and since nothing orders the pages on their way to the disk, it may leave a
//! file that LMDB cannot read. A sync that fails poisons the store as a failed commit does.

pub mod acl;
pub mod admin;
pub mod auth;
pub mod broker;
pub mod cli;
pub mod codec;
pub mod config;
pub mod cursor;
#[cfg(test)]
mod floors;
pub mod guide;
pub mod inspect;
pub mod log;
pub mod metrics;
pub mod net;
pub mod router;
pub mod selector;
pub mod server;
pub mod session;
pub mod store;
pub mod topic;
pub mod types;
