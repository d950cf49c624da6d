//! Redis or Valkey as a configuration names it: one server or a cluster, by TCP, TLS or a Unix socket, with a user and a
//! database. Whoever connects brings his own deadlines and commands: `sharing` for limits, `fanout` for streams and
//! events.

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, TlsCertificates,
};
use secrecy::ExposeSecret;

use crate::config::{Redis, RedisAddress};

/// One server. Nothing is connected yet.
pub(crate) fn single(to: &Redis) -> Result<Client, RedisError> {
    let info = info(to)?;
    match certificates(to) {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

/// A cluster, found by one of its nodes. Nothing is connected yet.
pub(crate) fn cluster(to: &Redis) -> Result<ClusterClientBuilder, RedisError> {
    let builder = ClusterClient::builder([info(to)?]);
    Ok(match certificates(to) {
        Some(certificates) => builder.certs(certificates),
        None => builder,
    })
}

/// One line. No error of the crate's holds what was sent.
pub(crate) fn shown(error: &RedisError) -> String {
    error.to_string().replace(['\r', '\n'], " ")
}

fn info(to: &Redis) -> Result<ConnectionInfo, RedisError> {
    let address = match &to.address {
        RedisAddress::Tcp { host, port, tls: false } => ConnectionAddr::Tcp(host.clone(), *port),
        RedisAddress::Tcp { host, port, tls: true } => {
            let host = host.clone();
            ConnectionAddr::TcpTls { host, port: *port, insecure: false, tls_params: None }
        }
        RedisAddress::Unix(path) => ConnectionAddr::Unix(path.clone()),
    };
    // Proxies that know few commands would refuse CLIENT SETINFO.
    let mut user = RedisConnectionInfo::default().set_skip_set_lib_name();
    if to.database > 0 {
        user = user.set_db(i64::from(to.database));
    }
    if let Some(name) = &to.username {
        user = user.set_username(name);
    }
    if let Some(password) = &to.password {
        user = user.set_password(password.expose_secret());
    }
    Ok(address.into_connection_info()?.set_redis_settings(user))
}

fn certificates(to: &Redis) -> Option<TlsCertificates> {
    if !matches!(to.address, RedisAddress::Tcp { tls: true, .. }) {
        return None;
    }
    let client_tls = to.client.as_ref().map(|(certificate, key)| ClientTlsConfig {
        client_cert: certificate.clone(),
        client_key: key.expose_secret().as_bytes().to_vec(),
    });
    Some(TlsCertificates { client_tls, root_cert: to.authority.clone() })
}
