import MQTTIngress
import TestSupport
import Testing

@testable import Service

/// Brokers that go, are not there yet, or refuse.
@Suite struct FaultBrokerTests {
  @Test func brokerRestartMidStreamLosesNothing() throws {
    let ward = try Ward()
    try ward.start()
    let base = ward.now - 20_000
    for number in 0..<1000 { try ward.send("d-\(number % 4)", "hr", "72", at: base + Int64(number), seq: number) }
    try ward.flush()
    try ward.broker.restart()
    ward.disconnect()
    for number in 1000..<2000 { try ward.send("d-\(number % 4)", "hr", "72", at: base + Int64(number), seq: number) }
    try ward.flush()
    let arrived = eventually { ward.books.stored == 2000 && ward.isIdle }
    #expect(arrived, "\(ward.books)")
    #expect(ward.books.isBalanced)
    #expect(ward.books.quarantined == 0)
    #expect(ward.log.has("broker connection", "unreachable"))
    let service = try ward.running
    #expect(service.connections.map(\.state.sessionPresent) == [true])
    #expect(try ward.storedSamples() == 2000)
  }

  @Test func brokerAbsentAtStartIsReportedAndAwaited() throws {
    let ward = try Ward()
    ward.broker.stop()
    try ward.start(waiting: false)
    #expect(eventually { ward.log.has("broker connection", "unreachable: connection refused") })
    let watch = try #require(try ward.running.watch)
    #expect(eventually { watch.unreadyReasons().contains { $0.contains("unreachable") } })
    try ward.broker.start()
    #expect(eventually { watch.unreadyReasons().isEmpty })
    try ward.send("d-1", "hr", "72", at: ward.now)
    let books = try ward.settle(1)
    #expect(books.stored == 1 && books.isBalanced)
  }

  @Test func brokerThatNeverComesFailsTheStart() throws {
    let ward = try Ward()
    ward.broker.stop()
    try ward.start(waiting: false)
    #expect(try !ward.running.brokerNeverCame)
    ward.clock.advance(milliseconds: 61_000)
    let service = try ward.running
    #expect(eventually { service.brokerNeverCame })
  }

  @Test func wrongPasswordHasItsLine() throws {
    var options = Broker.Options()
    options.users = ["vigil": "right"]
    let broker = try Broker(options)
    let ward = try Ward(broker: broker)
    ward.options.broker = [
      "username: vigil", "password: file:\(try ward.folder.write("wrong-word\n", to: "password"))",
    ]
    try ward.start(waiting: false)
    #expect(eventually { ward.log.has("warning", "broker connection", "refused: ") }, "\(ward.log.all)")
    #expect(!ward.log.has("wrong-word"))
  }

  @Test func expiredServerCertificateHasItsLine() throws {
    let certificates = try TestCertificates()
    var options = Broker.Options()
    options.tls = .init(authority: certificates.authority, server: certificates.expiredServer)
    let ward = try Ward(broker: try Broker(options))
    ward.options.scheme = "mqtts"
    ward.options.broker = ["ca: \"\(certificates.authority)\""]
    try ward.start(waiting: false)
    #expect(eventually { ward.log.has("broker connection", "tls: certificate has expired") }, "\(ward.log.all)")
    withExtendedLifetime(certificates) {}
  }

  @Test func clientCertificateEndToEnd() throws {
    let certificates = try TestCertificates()
    var options = Broker.Options()
    options.tls = .init(
      authority: certificates.authority, server: certificates.server, requireClientCertificate: true)
    let ward = try Ward(broker: try Broker(options))
    ward.options.scheme = "mqtts"
    ward.options.broker = [
      "ca: \"\(certificates.authority)\"", "certificate: \"\(certificates.client.certificate)\"",
      "key: \"\(certificates.client.key)\"",
    ]
    try ward.start()
    var sender = ward.publisherOptions()
    sender.tls = TLSOptions(
      authority: certificates.authority, certificate: certificates.client.certificate, key: certificates.client.key)
    _ = try ward.connect(sender)
    let base = ward.now - 1000
    for number in 0..<100 { try ward.send("d-1", "hr", "72", at: base + Int64(number)) }
    try ward.send("d-1", "spo2", "70", at: ward.now)
    #expect(try ward.settle(101).stored == 101)
    #expect(eventually { ward.inbox.opened("spo2-low").count == 1 })
    withExtendedLifetime(certificates) {}
  }
}
