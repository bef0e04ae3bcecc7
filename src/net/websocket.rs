//! MQTT in binary WebSocket frames (MQTT 5.0 section 6): a stream of bytes for whoever is above. Knows no packet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::opening::Stream;
use super::refusal::Closed;
use crate::broker::Peer;
use crate::metrics::RefusalReason;

/// Answers the request that opens a WebSocket at `path`; `largest_packet` bounds what is taken in at once, bytes.
pub(super) async fn accept<S: Stream>(
    stream: S,
    path: &str,
    largest_packet: usize,
    peer: Peer,
) -> Result<WebSocket<S>, Closed> {
    let config = limited(largest_packet);
    #[expect(clippy::result_large_err, reason = "the crate's own type")]
    let answer = |request: &Request, response: Response| answer(request, response, path);
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, answer, Some(config)).await;
    let inner = accepted.map_err(|fault| Closed::new(RefusalReason::WebSocket, describe(fault)))?;
    Ok(WebSocket::over(inner, peer))
}

/// Asks a broker for a WebSocket at `uri`; `largest_packet` bounds what is taken in at once, bytes.
///
/// # Errors
/// Why there is none, for people.
pub(super) async fn request<S: Stream>(
    stream: S,
    uri: &str,
    largest_packet: usize,
    peer: Peer,
) -> Result<WebSocket<S>, String> {
    let mut request = uri.into_client_request().map_err(|fault| fault.to_string())?;
    // [MQTT-6.0.0-3]
    let offered = HeaderValue::from_static(SUBPROTOCOL);
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
    let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(limited(largest_packet))).await;
    let (inner, _) = opened.map_err(describe)?;
    Ok(WebSocket::over(inner, peer))
}

fn limited(largest_packet: usize) -> WebSocketConfig {
    let largest = largest_packet.max(SMALLEST_MESSAGE_LIMIT);
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(FRAME_BYTES)
        .max_write_buffer_size(4 * FRAME_BYTES)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest))
}

/// What a refused request is answered with goes into the log too.
fn describe(fault: Error) -> String {
    match fault {
        Error::Http(response) => {
            let said = response
                .body()
                .as_deref()
                .map(String::from_utf8_lossy)
                .unwrap_or_default();
            format!(
                "the request was answered with {}: {}",
                response.status(),
                said.trim_end()
            )
        }
        other => format!("no WebSocket: {other}"),
    }
}

#[expect(clippy::result_large_err, reason = "the crate's own type")]
fn answer(request: &Request, mut response: Response, path: &str) -> Result<Response, ErrorResponse> {
    if request.uri().path() != path {
        return Err(refusal(StatusCode::NOT_FOUND, &format!("MQTT is spoken at {path}\n")));
    }
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    // [MQTT-6.0.0-3]
    if !offered.any(|name| name.trim() == SUBPROTOCOL) {
        return Err(refusal(
            StatusCode::BAD_REQUEST,
            "the subprotocol mqtt must be offered (Sec-WebSocket-Protocol: mqtt)\n",
        ));
    }
    // [MQTT-6.0.0-4]
    let chosen = HeaderValue::from_static(SUBPROTOCOL);
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    Ok(response)
}

fn refusal(status: StatusCode, why: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(why.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(why.len()));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A WebSocket as a stream of bytes. What is written goes out in as few frames as it fits into.
pub(super) struct WebSocket<S> {
    inner: WebSocketStream<S>,
    /// What is left of the message that came last.
    input: Bytes,
    peer: Peer,
    state: State,
}

/// How far the closing handshake is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The close frame is on its way.
    Closing,
    /// It is written; the client's is waited for.
    Waiting,
    Closed,
}

impl<S: Stream> WebSocket<S> {
    fn over(inner: WebSocketStream<S>, peer: Peer) -> Self {
        Self {
            inner,
            input: Bytes::new(),
            peer,
            state: State::Open,
        }
    }

    /// The next bytes; none at the end.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            let (code, what) = match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => continue,
                Some(Ok(Message::Binary(bytes))) => return Poll::Ready(Ok(bytes)),
                // The crate answers what has to be answered.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Close(_))) => continue,
                None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => {
                    return Poll::Ready(Ok(Bytes::new()));
                }
                Some(Err(Error::Io(fault))) => return Poll::Ready(Err(fault)),
                // [MQTT-6.0.0-1]
                Some(Ok(Message::Text(_))) => (CloseCode::Unsupported, "MQTT comes in binary frames".to_owned()),
                Some(Err(fault @ Error::Capacity(_))) => (CloseCode::Size, fault.to_string()),
                Some(Err(fault)) => (CloseCode::Protocol, fault.to_string()),
            };
            tracing::info!(address = %self.peer, code = u16::from(code), reason = what, "WebSocket closed");
            self.begin_close(code, what);
            return Poll::Ready(Ok(Bytes::new()));
        }
    }

    fn begin_close(&mut self, code: CloseCode, mut reason: String) {
        while reason.len() > LONGEST_REASON {
            reason.pop();
        }
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        let sent = Pin::new(&mut self.inner).start_send(Message::Close(Some(frame)));
        self.state = if sent.is_ok() { State::Closing } else { State::Closed };
    }

    /// Goes through the closing handshake.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.state == State::Open {
            self.begin_close(CloseCode::Normal, String::new());
        }
        if self.state == State::Closing {
            self.state = match ready!(Pin::new(&mut self.inner).poll_flush(cx)) {
                Ok(()) => State::Waiting,
                Err(_) => State::Closed,
            };
        }
        while self.state == State::Waiting {
            if let None | Some(Err(_)) = ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                self.state = State::Closed;
            }
        }
        Poll::Ready(())
    }
}

impl<S: Stream> AsyncRead for WebSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.input.is_empty() && self.state == State::Open {
            self.input = ready!(self.poll_message(cx))?;
        }
        if self.state != State::Open {
            // The last words go out before whoever reads learns that this is the end.
            ready!(Pin::new(&mut self.inner).poll_flush(cx)).ok();
            return Poll::Ready(Ok(()));
        }
        let len = self.input.len().min(buffer.remaining());
        buffer.put_slice(&self.input[..len]);
        self.input.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for WebSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(io::Error::other)?;
        let frame = &bytes[..bytes.len().min(FRAME_BYTES)];
        let message = Message::Binary(Bytes::copy_from_slice(frame));
        let sent = Pin::new(&mut self.inner).start_send(message);
        Poll::Ready(sent.map(|()| frame.len()).map_err(io::Error::other))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_close(cx));
        Pin::new(self.inner.get_mut()).poll_shutdown(cx)
    }
}

const SUBPROTOCOL: &str = "mqtt";
/// What is read at once; a connection keeps that much.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// The largest frame that is sent: many packets go into one, and an idle connection keeps no more than this.
const FRAME_BYTES: usize = 16 << 10;
/// Frames may hold several packets, also where only small packets are allowed.
const SMALLEST_MESSAGE_LIMIT: usize = 64 << 10;
/// How long the reason of a close frame may be, bytes (RFC 6455 section 5.5).
const LONGEST_REASON: usize = 123;
