import Foundation

/// A certificate authority with server and client certificates for 127.0.0.1 and localhost, made by the `openssl` tool.
package final class TestCertificates: Sendable {
  /// A certificate and its private key, both PEM.
  package struct Pair: Sendable {
    /// Path of the certificate.
    package let certificate: String
    /// Path of the private key.
    package let key: String
  }

  /// Path of the authority's certificate.
  package let authority: String
  /// A server certificate valid for a day.
  package let server: Pair
  /// A server certificate that expired in 2001.
  package let expiredServer: Pair
  /// A valid server certificate for another host.
  package let otherServer: Pair
  /// A client certificate with common name `vigil-test`.
  package let client: Pair

  private let folder: TemporaryDirectory

  /// Makes all of them; takes a few tenths of a second.
  package init() throws {
    let folder = try TemporaryDirectory("certificates")
    self.folder = folder
    let config = try folder.write(Self.config(folder), to: "openssl.cnf")
    _ = try folder.write("", to: "index.txt")
    _ = try folder.write("01\n", to: "serial")
    let authority = folder.file("ca.pem")
    try ChildProcess.run(
      "openssl",
      [
        "req", "-config", config, "-x509", "-extensions", "authority", "-days", "1", "-subj",
        "/CN=vigil test authority",
      ]
        + Self.newKey(folder.file("ca.key")) + ["-out", authority], in: folder)

    func issue(_ name: String, subject: String, extensions: String, validity: [String]) throws -> Pair {
      let pair = Pair(certificate: folder.file("\(name).pem"), key: folder.file("\(name).key"))
      let request = folder.file("\(name).csr")
      try ChildProcess.run(
        "openssl",
        ["req", "-config", config, "-subj", "/CN=\(subject)"] + Self.newKey(pair.key) + ["-out", request], in: folder)
      try ChildProcess.run(
        "openssl",
        ["ca", "-config", config, "-batch", "-notext", "-extensions", extensions] + validity
          + ["-in", request, "-out", pair.certificate], in: folder)
      return pair
    }
    self.authority = authority
    server = try issue("server", subject: "localhost", extensions: "server", validity: ["-days", "1"])
    expiredServer = try issue(
      "expired", subject: "localhost", extensions: "server",
      validity: ["-startdate", "20000101000000Z", "-enddate", "20010101000000Z"])
    otherServer = try issue("other", subject: "other.example", extensions: "other", validity: ["-days", "1"])
    client = try issue("client", subject: "vigil-test", extensions: "client", validity: ["-days", "1"])
  }

  private static func newKey(_ path: String) -> [String] {
    ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]
  }

  private static func config(_ folder: TemporaryDirectory) -> String {
    """
    [ca]
    default_ca = test
    [test]
    database = \(folder.file("index.txt"))
    serial = \(folder.file("serial"))
    new_certs_dir = \(folder.path)
    certificate = \(folder.file("ca.pem"))
    private_key = \(folder.file("ca.key"))
    default_md = sha256
    policy = any
    unique_subject = no
    [any]
    commonName = supplied
    [req]
    distinguished_name = name
    prompt = no
    [name]
    CN = unnamed
    [authority]
    basicConstraints = critical,CA:true
    keyUsage = critical,keyCertSign,cRLSign
    [server]
    basicConstraints = CA:false
    extendedKeyUsage = serverAuth
    subjectAltName = DNS:localhost,IP:127.0.0.1
    [other]
    basicConstraints = CA:false
    extendedKeyUsage = serverAuth
    subjectAltName = DNS:other.example
    [client]
    basicConstraints = CA:false
    extendedKeyUsage = clientAuth

    """
  }
}
