import MQTTIngress
import TestSupport
import Testing

/// TLS against a real broker, with certificates made for the test.
@Suite struct TLSTests {
  private func broker(
    _ certificates: TestCertificates, server: TestCertificates.Pair, client: Bool = false
  ) throws -> Broker {
    var options = Broker.Options()
    options.tls = .init(authority: certificates.authority, server: server, requireClientCertificate: client)
    return try Broker(options)
  }

  private func configuration(_ broker: Broker, _ tls: TLSOptions?, host: String = "localhost") -> BrokerConfiguration {
    var configuration = BrokerConfiguration.test(broker, client: "c")
    configuration.host = host
    configuration.tls = tls
    return configuration
  }

  private func firstLine(_ configuration: BrokerConfiguration) throws -> String {
    let connection = try BrokerConnection(configuration, sink: RecordingSink(), jitterSeed: 1)
    connection.start()
    #expect(eventually { connection.state.phase != .connecting })
    let line = connection.state.line
    connection.stop()
    connection.join()
    return line
  }

  @Test func everyKindOfFailureHasItsReason() throws {
    let certificates = try TestCertificates()
    let stranger = try TestCertificates()
    let trusting = TLSOptions(authority: certificates.authority)
    let expired = try broker(certificates, server: certificates.expiredServer)
    let tooOld = try firstLine(configuration(expired, trusting))
    #expect(tooOld == "tls: certificate has expired")

    let good = try broker(certificates, server: certificates.server)
    let distrusting = TLSOptions(authority: stranger.authority)
    let unknown = try firstLine(configuration(good, distrusting))
    #expect(unknown.hasPrefix("tls: ") && unknown.contains("certificate"))
    let other = try broker(certificates, server: certificates.otherServer)
    let wrongName = try firstLine(configuration(other, trusting))
    #expect(wrongName == "tls: host name verification failed")
    let missing = try firstLine(configuration(good, TLSOptions(authority: "/nonexistent/ca.pem")))
    #expect(missing == "tls: cannot read /nonexistent/ca.pem: no such file or directory")
    let plain = try firstLine(configuration(good, nil, host: "127.0.0.1"))
    #expect(plain.hasPrefix("unreachable: "))
    good.stop()
    let absent = try firstLine(configuration(good, trusting))
    #expect(absent == "unreachable: connection refused")

    let strict = try broker(certificates, server: certificates.server, client: true)
    let anonymous = try firstLine(configuration(strict, trusting))
    #expect(anonymous.hasPrefix("tls: ") && anonymous.contains("certificate"), "\(anonymous)")
    withExtendedLifetime((certificates, stranger, expired, good, other, strict)) {}
  }

  @Test func clientCertificateIsAcceptedAndTheGateHolds() throws {
    let certificates = try TestCertificates()
    let broker = try broker(certificates, server: certificates.server, client: true)
    let tls = TLSOptions(
      authority: certificates.authority, certificate: certificates.client.certificate, key: certificates.client.key)
    var options = MQTTPublisher.Options(host: "127.0.0.1", port: broker.port, clientID: "publisher")
    options.tls = tls
    let publisher = try MQTTPublisher(options)
    let first = RecordingSink(.withheld)
    let connection = try connected(configuration(broker, tls), first)
    #expect(eventually { broker.log.contains("Sending SUBACK to c") })
    let sent = (0..<500).map(String.init)
    for payload in sent { try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: payload) }
    try publisher.flush()
    #expect(eventually { first.isWaiting })
    first.set(.givenUp)
    connection.join()
    #expect(broker.log.occurrences(of: "Received PUBACK from c") == 0)

    let second = RecordingSink()
    var bounded = configuration(broker, tls)
    // Several batches inside one TLS record: what is buffered where poll cannot see it must not be left lying.
    bounded.receiveMaximum = 7
    let resumed = try connected(bounded, second)
    #expect(eventually { second.messages.count == sent.count })
    #expect(second.payloads == sent)
    resumed.stop()
    resumed.join()
    withExtendedLifetime((certificates, broker)) {}
  }
}
