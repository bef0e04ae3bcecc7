//! PINGREQ, PINGRESP, DISCONNECT and AUTH.

use super::{Sample, long_way, pairs, row};
use crate::codec::*;
use crate::types::ReasonCode;
use crate::types::Version::{V3, V5};

pub(super) fn ends() -> Vec<Sample> {
    let bare = |reason| Auth {
        reason,
        method: None,
        data: None,
        reason_string: None,
        user_properties: Vec::new(),
    };
    let full = Disconnect {
        session_expiry_secs: Some(0),
        reason_string: Some("why".into()),
        server_reference: Some("other".into()),
        user_properties: pairs(&[("k", "v")]),
        ..Disconnect::new(ReasonCode::ServerMoved)
    };
    vec![
        row("v5 pingreq", V5, "C0 00", Packet::PingReq),
        row("v3 pingreq", V3, "C0 00", Packet::PingReq),
        row("v5 pingresp", V5, "D0 00", Packet::PingResp),
        row("v3 pingresp", V3, "D0 00", Packet::PingResp),
        row(
            "v5 disconnect",
            V5,
            "E0 00",
            Packet::Disconnect(Disconnect::new(ReasonCode::Success)),
        ),
        row(
            "v3 disconnect",
            V3,
            "E0 00",
            Packet::Disconnect(Disconnect::new(ReasonCode::Success)),
        ),
        row(
            "v5 disconnect with reason",
            V5,
            "E0 01 8E",
            Packet::Disconnect(Disconnect::new(ReasonCode::SessionTakenOver)),
        ),
        long_way(
            "v5 disconnect success written out",
            V5,
            "E0 01 00",
            Packet::Disconnect(Disconnect::new(ReasonCode::Success)),
        ),
        long_way(
            "v5 disconnect no properties written out",
            V5,
            "E0 02 04 00",
            Packet::Disconnect(Disconnect::new(ReasonCode::DisconnectWithWill)),
        ),
        row(
            "v5 disconnect that changes the session expiry",
            V5,
            "E0 (00 (11 0000003C))",
            Packet::Disconnect(Disconnect {
                session_expiry_secs: Some(60),
                ..Disconnect::new(ReasonCode::Success)
            }),
        ),
        row(
            "v5 disconnect with all",
            V5,
            "E0 (9D (11 00000000 1F 'why' 26 'k' 'v' 1C 'other'))",
            Packet::Disconnect(full),
        ),
        row("v5 auth success", V5, "F0 00", Packet::Auth(bare(ReasonCode::Success))),
        long_way(
            "v5 auth success written out",
            V5,
            "F0 01 00",
            Packet::Auth(bare(ReasonCode::Success)),
        ),
        long_way(
            "v5 auth no properties written out",
            V5,
            "F0 02 00 00",
            Packet::Auth(bare(ReasonCode::Success)),
        ),
        row(
            "v5 auth continues",
            V5,
            "F0 (18 (15 'M' 16 0002 00FF 1F 'why' 26 'k' 'v'))",
            Packet::Auth(Auth {
                method: Some("M".into()),
                data: Some(vec![0, 255]),
                reason_string: Some("why".into()),
                user_properties: pairs(&[("k", "v")]),
                ..bare(ReasonCode::ContinueAuthentication)
            }),
        ),
        row(
            "v5 auth again",
            V5,
            "F0 (19 (15 'M'))",
            Packet::Auth(Auth {
                method: Some("M".into()),
                ..bare(ReasonCode::ReAuthenticate)
            }),
        ),
    ]
}
