//! The cases over WebSocket: a bridge in this process puts the bytes of each TCP connection into frames and takes them
//! out again. Frames end where reads end, not where packets do.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use rewindmq::config::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::tcp::{Options, run_all};
use super::{assert_passed, cases, own_broker};

#[test]
fn every_case_holds_over_websocket() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let rows = runtime.expect("a runtime").block_on(async {
        let server = own_broker::start(Transport::WebSocket)
            .await
            .expect("the broker starts");
        let bridge = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = bridge.local_addr().expect("an address");
        let task = tokio::spawn(serve(bridge, server.addresses()[0]));
        let options = Options::own(address);
        let rows = run_all(&cases(), &options).await;
        task.abort();
        server.stop().await;
        rows
    });
    assert_passed(&rows);
}

async fn serve(bridge: TcpListener, broker: SocketAddr) {
    while let Ok((stream, _)) = bridge.accept().await {
        tokio::spawn(carry(stream, broker));
    }
}

/// Carries one connection until one side ends it; then both are over.
async fn carry(stream: TcpStream, broker: SocketAddr) {
    let far = TcpStream::connect(broker).await.expect("the broker listens");
    let mut request = format!("ws://{broker}/mqtt").into_client_request().expect("a URL");
    let protocol = HeaderValue::from_static("mqtt");
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    let opened = tokio_tungstenite::client_async(request, far).await;
    let (mut frames, mut messages) = opened.expect("the broker speaks WebSocket").0.split();
    let (mut near, mut out) = stream.into_split();
    let forth = async {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Ok(len @ 1..) = near.read(&mut buffer).await {
            let piece = Bytes::copy_from_slice(&buffer[..len]);
            if frames.send(Message::Binary(piece)).await.is_err() {
                return;
            }
        }
    };
    let back = async {
        while let Some(Ok(message)) = messages.next().await {
            let wrote = match message {
                Message::Binary(bytes) => out.write_all(&bytes).await,
                Message::Close(_) => out.shutdown().await,
                _ => Ok(()),
            };
            if wrote.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = forth => {}
        () = back => {}
    }
}

/// Small enough that larger packets come in several frames.
const PIECE_BYTES: usize = 1000;
