//! The cases over TCP, against this project's broker as a server with sockets of its own.

use rewindmq::config::Transport;

use super::tcp::{Options, run_all};
use super::{assert_passed, cases, own_broker};

#[test]
fn every_case_holds_over_tcp() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let rows = runtime.expect("a runtime").block_on(async {
        let server = own_broker::start(Transport::Tcp).await.expect("the broker starts");
        let options = Options::own(server.addresses()[0]);
        let rows = run_all(&cases(), &options).await;
        server.stop().await;
        rows
    });
    assert_passed(&rows);
}
