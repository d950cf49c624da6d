//! What a scan of the port by somebody else's tools shows: openssl and curl.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use loadtest::upstream::{Script, Upstream};

use super::behind_tls;
use crate::support::fixture::Fixture;
use crate::support::installed::installed;

struct Scanned {
    fixture: Fixture,
    folder: PathBuf,
}

fn scanned() -> Scanned {
    let upstream = Upstream::builder().script(Script::new().answer(200, &[], "{}"));
    let (fixture, authority, folder) = behind_tls(upstream, "");
    std::fs::write(folder.join("ca.pem"), authority.pem()).expect("a file");
    Scanned { fixture, folder }
}

/// What `openssl s_client` says to these arguments; `typed` is its input.
fn s_client(openssl: &Path, at: SocketAddr, arguments: &[&str], typed: &str) -> String {
    let mut child = Command::new(openssl)
        .args(["s_client", "-connect", &at.to_string(), "-servername", "localhost"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let _ended = stdin.write_all(typed.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("openssl ends");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn old_versions_and_weak_ciphers_are_refused() {
    let Some(openssl) = installed("openssl") else { return };
    let Scanned { fixture, .. } = scanned();
    let refused = |arguments: &[&str]| {
        let said = s_client(&openssl, fixture.address(), arguments, "");
        // A version that this openssl cannot speak at all would prove nothing.
        assert!(said.contains("CONNECTED"), "{arguments:?}: {said}");
        assert!(said.contains("alert"), "{arguments:?}: {said}");
        assert!(!said.contains("Cipher is ECDHE") && !said.contains("Cipher is AES"), "{said}");
    };
    let weak = "DEFAULT@SECLEVEL=0";
    refused(&["-tls1", "-cipher", weak]);
    refused(&["-tls1_1", "-cipher", weak]);
    for ciphers in ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"] {
        refused(&["-tls1_2", "-cipher", &format!("{ciphers}:@SECLEVEL=0")]);
    }
    let taken = |arguments: &[&str], cipher: &str| {
        let said = s_client(&openssl, fixture.address(), arguments, "");
        assert!(said.contains(&format!("Cipher is {cipher}")), "{arguments:?}: {said}");
    };
    taken(&["-tls1_2"], "ECDHE-ECDSA-");
    taken(&["-tls1_3"], "TLS_AES_");
}

#[test]
fn a_client_may_not_negotiate_anew_and_gets_no_compression() {
    let Some(openssl) = installed("openssl") else { return };
    let Scanned { fixture, .. } = scanned();
    // On a line of its own, `R` has openssl negotiate anew.
    let said = s_client(&openssl, fixture.address(), &["-tls1_2"], "R\n");
    let (_, after) = said.split_once("RENEGOTIATING").expect("it tries to");
    assert!(after.contains("error") && !after.contains("verify return"), "{said}");
    assert!(said.contains("Compression: NONE"), "{said}");
    assert!(said.contains("Secure Renegotiation IS supported"), "{said}");
}

#[test]
fn the_chain_comes_in_order_and_is_trusted() {
    let Some(openssl) = installed("openssl") else { return };
    let Scanned { fixture, folder } = scanned();
    let ca = folder.join("ca.pem");
    let arguments = ["-showcerts", "-verify_return_error", "-verify_hostname", "localhost"];
    let arguments = [&arguments[..], &["-CAfile", ca.to_str().expect("text")]].concat();
    let said = s_client(&openssl, fixture.address(), &arguments, "");
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    let (own, authority) = (said.find("CN = issued"), said.find(" 1 s:CN = ours"));
    assert!(own.is_some() && own < authority, "{said}");
}

#[test]
fn curl_speaks_both_versions_of_http_and_resumes() {
    let Some(curl) = installed("curl") else { return };
    let Scanned { fixture, folder } = scanned();
    let url = format!("https://localhost:{}/v1/models", fixture.address().port());
    let asked = |arguments: &[&str]| {
        let output = Command::new(&curl)
            .args(["-sS", "--noproxy", "*", "--ipv4", "--cacert"])
            .arg(folder.join("ca.pem"))
            .args(["-w", " %{http_version} %{http_code}"])
            .args(arguments)
            .arg(&url)
            .output()
            .expect("curl runs");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).expect("text")
    };
    assert_eq!(asked(&["--http2"]), "{} 2 200");
    assert_eq!(asked(&["--http1.1"]), "{} 1.1 200");
    assert_eq!(asked(&["--tls-max", "1.2"]), "{} 2 200");
    let mut clear = fixture.connect();
    clear.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("it reads");
    let mut told = String::new();
    clear.read_to_string(&mut told).expect("an answer");
    assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
}
