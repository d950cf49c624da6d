//! Who a client's certificate says that it is.

use tokio_rustls::server::TlsStream;
use webpki::EndEntityCert;

use crate::transport::any_socket::AnySocket;
use crate::transport::write_stall::WriteStall;

/// The subject alternative names of the certificate that a client was verified by, written as the configuration
/// writes them: `DNS:NAME` in lower case, `URI:URI` as it is. None where it showed no certificate.
pub fn certificate_names(stream: &TlsStream<WriteStall<AnySocket>>) -> Vec<String> {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let Some(Ok(certificate)) = shown.map(EndEntityCert::try_from) else { return Vec::new() };
    let hosts =
        certificate.valid_dns_names().map(|name| format!("DNS:{}", name.to_ascii_lowercase()));
    hosts.chain(certificate.valid_uri_names().map(|uri| format!("URI:{uri}"))).collect()
}
