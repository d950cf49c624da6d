//! Connections as servers and those who run them want them.

use rcgen::{CertificateParams, KeyPair, SanType};

use super::{Instance, Link, Lost, Server, ask, installed, rate, runtime, section, servers};
use crate::config::{Redis, RedisAddress};

fn refused(to: &Redis) -> Lost {
    let runtime = runtime();
    match runtime.block_on(Link::connect(to)) {
        Ok(_) => panic!("it connects"),
        Err(lost) => lost,
    }
}

#[test]
fn a_password_and_a_user_are_shown_and_a_wrong_one_is_said_without_it() {
    for server in servers(&["requirepass", "canary-right"]) {
        let mut to = section(&server);
        to.password = Some("canary-right".into());
        assert_eq!(Instance::new("me", &to).ask(&[ask("a", rate(60), 1)]).told[0].left, 59);
        server.command(&["ACL", "SETUSER", "proxy", "on", ">canary-own", "~*", "+@all"]);
        (to.username, to.password) = (Some("proxy".into()), Some("canary-own".into()));
        assert_eq!(Instance::new("me", &to).ask(&[ask("a", rate(60), 0)]).told[0].left, 59);
        to.password = Some("canary-wrong".into());
        let said = refused(&to).to_string();
        assert!(said.contains("WRONGPASS") || said.contains("authentication"), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn where_no_digests_are_taken_scripts_go_whole() {
    for server in servers(&["rename-command", "EVALSHA \"\"", "rename-command", "SCRIPT \"\""]) {
        let me = Instance::new("me", &section(&server));
        for left in [59, 58, 57] {
            assert_eq!(me.ask(&[ask("a", rate(60), 1)]).told[0].left, left);
        }
        assert_eq!(server.count(&["eval"]), 3);
    }
}

#[test]
fn a_script_goes_whole_once_and_again_where_it_was_forgotten() {
    for server in servers(&[]) {
        let me = Instance::new("me", &section(&server));
        for _ in 0..3 {
            me.ask(&[ask("a", rate(60), 1)]);
        }
        assert_eq!((server.count(&["eval"]), server.count(&["evalsha"])), (1, 3));
        server.command(&["SCRIPT", "FLUSH"]);
        assert_eq!(me.ask(&[ask("a", rate(60), 1)]).told[0].left, 56);
        assert_eq!(server.count(&["eval"]), 2);
    }
}

#[test]
fn a_server_that_takes_no_scripts_is_said_to() {
    for server in servers(&["rename-command", "EVALSHA \"\"", "rename-command", "EVAL \"\""]) {
        let me = Instance::new("me", &section(&server));
        let lost = me.try_ask(&[ask("a", rate(60), 1)]).unwrap_err();
        assert!(matches!(lost, Lost::Scripts(_)), "{lost:?}");
        assert!(lost.to_string().contains("the server refuses scripts"), "{lost}");
    }
    for server in servers(&["requirepass", "x"]) {
        server.command(&["ACL", "SETUSER", "poor", "on", ">y", "~*", "+@all", "-eval", "-evalsha"]);
        let mut to = section(&server);
        (to.username, to.password) = (Some("poor".into()), Some("y".into()));
        let lost = Instance::new("me", &to).try_ask(&[ask("a", rate(60), 1)]).unwrap_err();
        assert!(matches!(lost, Lost::Scripts(_)), "{lost:?}");
    }
}

#[test]
fn in_a_cluster_a_limit_s_keys_are_on_one_node_and_its_tag_says_on_which() {
    for server in servers(&["cluster-enabled", "yes"]) {
        server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        let begun = std::time::Instant::now();
        while !server.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
            assert!(begun.elapsed().as_secs() < 20, "the cluster does not form");
            std::thread::yield_now();
        }
        let mut to = section(&server);
        to.cluster = true;
        let me = Instance::new("me", &to);
        assert_eq!(me.ask(&[ask("client a/rpm", rate(60), 1)]).told[0].left, 59);
        assert_eq!(me.ask(&[ask("client b/rpm", rate(60), 1)]).told[0].left, 59);
        assert_eq!(me.instances(false), 1);
        let two = [ask("client a/rpm", rate(60), 1), ask("client b/rpm", rate(60), 1)];
        let lost = me.try_ask(&two).unwrap_err();
        assert!(matches!(lost, Lost::Answer(_)), "keys of two tags in one call: {lost:?}");
    }
}

#[test]
fn over_tls_a_server_is_trusted_by_the_authority_that_is_named_and_by_no_other() {
    let Some(program) = installed("redis-server") else { return };
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let other = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let folder = std::env::temp_dir().join(format!("firstbyte-redis-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (cert, private) = (file("cert.pem", &certificate), file("key.pem", &key.serialize_pem()));
    let pairs = ["tls-cert-file", &*cert, "tls-key-file", &*private, "tls-ca-cert-file", &*cert];
    let server = Server::start(&program, &pairs);
    let mut to = section(&server);
    let port = server.address.port();
    to.address = RedisAddress::Tcp { host: "127.0.0.1".into(), port, tls: true };
    to.authority = Some(certificate.into_bytes());
    assert_eq!(Instance::new("me", &to).ask(&[ask("a", rate(60), 1)]).told[0].left, 59);
    to.authority = Some(other.into_bytes());
    assert!(matches!(refused(&to), Lost::Connection(_)));
    to.authority = None;
    assert!(matches!(refused(&to), Lost::Connection(_)), "nor by the system's");
    drop(std::fs::remove_dir_all(folder));
}
