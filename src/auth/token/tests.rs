//! Tokens as they should be, and as somebody would make them who has no key.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::*;

const SECRET: &[u8] = b"a secret of tests, long enough to be one";
const RSA_PRIVATE: &str = include_str!("test_rsa.pem");
const RSA_PUBLIC: &str = include_str!("test_rsa_public.pem");
/// In front of a point of P-256 in a SubjectPublicKeyInfo.
const POINT_PREFIX: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA=";

/// Seconds since 1970.
fn at(secs: u64) -> Timestamp {
    Timestamp::default().saturating_add(Duration::from_secs(secs))
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

fn hs256(secret: &[u8], claims: &Value) -> String {
    with_header(&json!({"alg": "HS256", "typ": "JWT"}), secret, claims)
}

fn with_header(header: &Value, secret: &[u8], claims: &Value) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    signed(header, claims, |text| ring::hmac::sign(&key, text).as_ref().to_vec())
}

fn rsa() -> RsaKeyPair {
    let der = PrivatePkcs8KeyDer::from_pem_slice(RSA_PRIVATE.as_bytes()).expect("the key of tests is PEM");
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("the key of tests is one")
}

fn rs256(key: &RsaKeyPair, header: &Value, claims: &Value) -> String {
    signed(header, claims, |text| {
        let mut signature = vec![0; key.public().modulus_len()];
        let made = key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature);
        made.expect("a signature");
        signature
    })
}

fn point() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).expect("a key")
}

fn es256(key: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    signed(header, claims, |text| {
        let signature = key.sign(&SystemRandom::new(), text).expect("a signature");
        signature.as_ref().to_vec()
    })
}

fn secret_keys() -> Keys {
    Keys::secret(SECRET).expect("a secret")
}

fn tokens(keys: Keys) -> Tokens {
    Tokens::new(keys, Expectations::default())
}

fn alice() -> Value {
    json!({"sub": "alice", "exp": 1000})
}

fn fault_of(claims: &Value, expected: Expectations) -> Option<TokenFault> {
    let tokens = Tokens::new(secret_keys(), expected);
    tokens.check(&hs256(SECRET, claims), at(500)).err()
}

#[test]
fn a_token_names_its_user_groups_and_claims() {
    let claims = json!({
        "sub": "alice", "exp": 1000, "groups": ["staff", "night"], "site": "north", "floor": 3, "list": ["x"],
    });
    let proven = tokens(secret_keys())
        .check(&hs256(SECRET, &claims), at(500))
        .expect("a token");
    assert_eq!(proven.identity, Identity::from("alice"));
    assert_eq!(proven.identity.groups(), ["staff", "night"]);
    assert_eq!(proven.identity.claim("site"), Some("north"));
    assert_eq!(proven.identity.claim("floor"), Some("3"));
    assert_eq!(proven.identity.claim("list"), None);
    assert_eq!(proven.until, at(1010), "exp and the leeway");
}

#[test]
fn the_secret_of_a_file_is_without_its_newline() {
    for end in ["\n", "\r\n"] {
        let file = [SECRET, end.as_bytes()].concat();
        let tokens = tokens(Keys::secret(&file).expect("a secret"));
        assert!(tokens.check(&hs256(SECRET, &alice()), at(500)).is_ok());
    }
}

#[test]
fn a_token_is_valid_until_exp_and_leeway() {
    let tokens = tokens(secret_keys());
    let token = hs256(SECRET, &alice());
    assert!(tokens.check(&token, at(1009)).is_ok());
    assert_eq!(tokens.check(&token, at(1010)), Err(TokenFault::Expired));
}

#[test]
fn a_token_is_valid_from_nbf_less_leeway() {
    let tokens = tokens(secret_keys());
    let token = hs256(SECRET, &json!({"sub": "alice", "exp": 1000, "nbf": 500.5}));
    assert_eq!(tokens.check(&token, at(490)), Err(TokenFault::TooEarly));
    assert!(tokens.check(&token, at(491)).is_ok());
}

#[test]
fn a_time_without_bounds_is_the_end_of_time() {
    let token = hs256(SECRET, &json!({"sub": "alice", "exp": 1e300}));
    let proven = tokens(secret_keys()).check(&token, at(500)).expect("a token");
    assert_eq!(proven.until, Timestamp(u64::MAX));
}

#[test]
fn exp_is_required_and_a_number() {
    let expected = Some(TokenFault::Claim("exp"));
    assert_eq!(fault_of(&json!({"sub": "alice"}), Expectations::default()), expected);
    for exp in [json!("1000"), json!(-1), json!(null)] {
        assert_eq!(
            fault_of(&json!({"sub": "alice", "exp": exp}), Expectations::default()),
            expected
        );
    }
}

#[test]
fn issuer_and_audience_must_be_those_expected() {
    let expected = Expectations {
        issuer: Some("us".to_owned()),
        audience: Some("broker".to_owned()),
        ..Expectations::default()
    };
    let fault = |iss: Value, aud: Value| {
        let claims = json!({"sub": "alice", "exp": 1000, "iss": iss, "aud": aud});
        fault_of(&claims, expected.clone())
    };
    assert_eq!(fault(json!("us"), json!("broker")), None);
    assert_eq!(fault(json!("us"), json!(["other", "broker"])), None);
    assert_eq!(fault(json!("them"), json!("broker")), Some(TokenFault::Issuer));
    assert_eq!(fault(json!(["us"]), json!("broker")), Some(TokenFault::Issuer));
    assert_eq!(fault(json!("us"), json!(["other"])), Some(TokenFault::Audience));
    assert_eq!(fault(json!("us"), json!(null)), Some(TokenFault::Audience));
    assert_eq!(fault_of(&alice(), expected.clone()), Some(TokenFault::Issuer));
}

#[test]
fn a_name_must_be_one() {
    for name in [json!(""), json!(7), json!("a\u{7}b"), json!("x".repeat(256))] {
        let claims = json!({"sub": name, "exp": 1000});
        assert_eq!(
            fault_of(&claims, Expectations::default()),
            Some(TokenFault::Name),
            "{claims}"
        );
    }
    assert_eq!(
        fault_of(&json!({"exp": 1000}), Expectations::default()),
        Some(TokenFault::Name)
    );
}

#[test]
fn groups_must_be_texts() {
    for groups in [json!(7), json!(["staff", 7])] {
        let claims = json!({"sub": "alice", "exp": 1000, "groups": groups});
        assert_eq!(fault_of(&claims, Expectations::default()), Some(TokenFault::Groups));
    }
}

#[test]
fn rs256_and_es256_are_checked_with_keys_from_pem() {
    let key = point();
    let prefix = STANDARD.decode(POINT_PREFIX).expect("base64");
    let der = STANDARD.encode([&prefix[..], key.public_key().as_ref()].concat());
    let pem = format!("{RSA_PUBLIC}-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
    let tokens = tokens(Keys::parse(&pem).expect("two keys"));
    let rsa_token = rs256(&rsa(), &json!({"alg": "RS256"}), &alice());
    assert!(tokens.check(&rsa_token, at(500)).is_ok());
    let point_token = es256(&key, &json!({"alg": "ES256"}), &alice());
    assert!(tokens.check(&point_token, at(500)).is_ok());
    let other = es256(&point(), &json!({"alg": "ES256"}), &alice());
    assert_eq!(tokens.check(&other, at(500)), Err(TokenFault::Signature));
}

fn point_jwk(key: &EcdsaKeyPair, id: &str) -> Value {
    let point = key.public_key().as_ref();
    let [x, y] = [&point[1..33], &point[33..]].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": id})
}

fn rsa_jwk(key: &RsaKeyPair) -> Value {
    let parts = PublicKeyComponents::<Vec<u8>>::from(key.public());
    let [n, e] = [parts.n, parts.e].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    json!({"kty": "RSA", "n": n, "e": e, "alg": "RS256", "use": "sig"})
}

#[test]
fn a_set_of_keys_is_searched_by_key_identifier() {
    let (first, second) = (point(), point());
    let set = json!({"keys": [
        point_jwk(&first, "1"), point_jwk(&second, "2"), rsa_jwk(&rsa()), {"kty": "OKP", "crv": "Ed25519"},
    ]});
    let tokens = tokens(Keys::parse(&set.to_string()).expect("keys"));
    let fault = |key, header| tokens.check(&es256(key, &header, &alice()), at(500)).err();
    assert_eq!(fault(&first, json!({"alg": "ES256", "kid": "1"})), None);
    assert_eq!(fault(&second, json!({"alg": "ES256"})), None);
    assert_eq!(
        fault(&second, json!({"alg": "ES256", "kid": "1"})),
        Some(TokenFault::Signature)
    );
    assert_eq!(
        fault(&first, json!({"alg": "ES256", "kid": "3"})),
        Some(TokenFault::NoKey)
    );
    let rsa_token = rs256(&rsa(), &json!({"alg": "RS256", "kid": "unnamed"}), &alice());
    assert!(
        tokens.check(&rsa_token, at(500)).is_ok(),
        "a key without a name serves any"
    );
}

#[test]
fn a_key_is_for_one_algorithm() {
    let tokens = tokens(Keys::parse(RSA_PUBLIC).expect("a key"));
    let der = rsa().public().as_ref().to_vec();
    for secret in [RSA_PUBLIC.as_bytes(), RSA_PUBLIC.trim().as_bytes(), &der] {
        assert_eq!(tokens.check(&hs256(secret, &alice()), at(500)), Err(TokenFault::NoKey));
    }
    let lie = signed(&json!({"alg": "RS256"}), &alice(), |text| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, RSA_PUBLIC.as_bytes());
        ring::hmac::sign(&key, text).as_ref().to_vec()
    });
    assert_eq!(tokens.check(&lie, at(500)), Err(TokenFault::Signature));
}

#[test]
fn no_algorithm_is_no_proof() {
    let tokens = tokens(secret_keys());
    for name in ["none", "None", "NONE", "hs256", "HS512", ""] {
        let unsigned = signed(&json!({"alg": name}), &alice(), |_| Vec::new());
        assert_eq!(tokens.check(&unsigned, at(500)), Err(TokenFault::Algorithm), "{name}");
        let with_signature = with_header(&json!({"alg": name}), SECRET, &alice());
        assert_eq!(
            tokens.check(&with_signature, at(500)),
            Err(TokenFault::Algorithm),
            "{name}"
        );
    }
    let unsigned = signed(&json!({"alg": "HS256"}), &alice(), |_| Vec::new());
    assert_eq!(tokens.check(&unsigned, at(500)), Err(TokenFault::Signature));
}

#[test]
fn extensions_that_must_be_understood_are_refused() {
    let token = with_header(
        &json!({"alg": "HS256", "crit": ["b64"], "b64": false}),
        SECRET,
        &alice(),
    );
    assert_eq!(tokens(secret_keys()).check(&token, at(500)), Err(TokenFault::Extension));
}

#[test]
fn a_signature_is_looked_at_before_claims_are() {
    let token = hs256(b"another secret, which is long enough too", &json!({"exp": 1}));
    assert_eq!(tokens(secret_keys()).check(&token, at(500)), Err(TokenFault::Signature));
}

#[test]
fn a_token_longer_than_the_bound_is_none() {
    let token = hs256(
        SECRET,
        &json!({"sub": "alice", "exp": 1000, "long": "x".repeat(LONGEST)}),
    );
    assert_eq!(tokens(secret_keys()).check(&token, at(500)), Err(TokenFault::Form));
}

#[test]
fn keys_that_cannot_be_used_are_told_apart() {
    let fault = |text: &str| Keys::parse(text).err();
    assert_eq!(fault(RSA_PRIVATE), Some(KeyFault::Private));
    assert_eq!(fault("something"), Some(KeyFault::Form));
    assert_eq!(fault("{\"keys\": 1}"), Some(KeyFault::Form));
    assert_eq!(fault("{\"keys\": []}"), Some(KeyFault::None));
    let cut = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}]}).to_string();
    let (number, fault_of_key) = (1, Box::new(KeyFault::Point));
    assert_eq!(
        fault(&cut),
        Some(KeyFault::InSet {
            number,
            fault: fault_of_key
        })
    );
    let weak = json!({"keys": [{"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([255; 128]), "e": "AQAB"}]}).to_string();
    let fault_of_key = Box::new(KeyFault::RsaBits(1024));
    assert_eq!(
        fault(&weak),
        Some(KeyFault::InSet {
            number,
            fault: fault_of_key
        })
    );
    let mut private = rsa_jwk(&rsa());
    private["d"] = json!("AQAB");
    let private = json!({ "keys": [private] }).to_string();
    let fault_of_key = Box::new(KeyFault::Private);
    assert_eq!(
        fault(&private),
        Some(KeyFault::InSet {
            number,
            fault: fault_of_key
        })
    );
    assert_eq!(Keys::secret(b"short\n").err(), Some(KeyFault::ShortSecret(5)));
    assert_eq!(Keys::secret(RSA_PUBLIC.as_bytes()).err(), Some(KeyFault::PemAsSecret));
    let many = vec![json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET)}); 65];
    assert_eq!(fault(&json!({ "keys": many }).to_string()), Some(KeyFault::TooMany));
}

#[test]
fn keys_are_not_shown() {
    let shown = format!("{:?}", secret_keys());
    assert!(!shown.contains("secret of tests") && shown.contains("Hs256"), "{shown}");
}

proptest! {
    #[test]
    fn a_token_with_one_other_character_proves_nothing(at_char in any::<prop::sample::Index>(), other in "[A-Za-z0-9_.-]") {
        let token = hs256(SECRET, &alice());
        let place = at_char.index(token.len());
        prop_assume!(token[place..=place] != other);
        let changed = format!("{}{other}{}", &token[..place], &token[place + 1..]);
        prop_assert!(tokens(secret_keys()).check(&changed, at(500)).is_err());
    }

    #[test]
    fn any_text_is_refused_without_a_panic(token in ".{0,80}", keys in ".{0,80}", parts in any::<(Vec<u8>, Vec<u8>)>()) {
        prop_assert!(tokens(secret_keys()).check(&token, at(500)).is_err());
        let [head, tail] = [&parts.0, &parts.1].map(|part| URL_SAFE_NO_PAD.encode(part));
        let token = format!("{head}.{tail}.{head}");
        prop_assert!(tokens(secret_keys()).check(&token, at(500)).is_err());
        prop_assert!(Keys::parse(&keys).is_err());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{head}\n-----END PUBLIC KEY-----\n");
        prop_assert!(Keys::parse(&pem).is_err());
    }
}
