@testable import MQTTIngress
import TestSupport
import Testing

@Suite struct BrokerAddressTests {
  @Test(arguments: [
    ("mqtt://broker", "broker", UInt16(1883), false), ("mqtts://broker", "broker", 8883, true),
    ("mqtt://10.0.0.1:2000/", "10.0.0.1", 2000, false), ("mqtts://[::1]:9", "::1", 9, true),
    ("mqtt://[fe80::1]", "fe80::1", 1883, false),
  ])
  func urls(url: String, host: String, port: UInt16, tls: Bool) throws {
    let address = try BrokerAddress(url: url)
    #expect(address.host == host && address.port == port && address.usesTLS == tls)
  }

  @Test(arguments: [
    "", "broker", "http://broker", "mqtt://", "mqtt://:1883", "mqtt://b:", "mqtt://b:0", "mqtt://b:65536", "mqtt://b:x",
    "mqtt://u:p@b", "mqtt://b/path", "mqtt://b?x", "mqtt://::1", "mqtt://[::1", "mqtt://[::1]x", "mqtt://b b",
    "mqtt://b:+1",
  ])
  func wrongURLs(url: String) {
    #expect(throws: BrokerConfigurationError.self) { try BrokerAddress(url: url) }
  }
}

@Suite struct BrokerConfigurationTests {
  private func wrong(_ change: (inout BrokerConfiguration) -> Void) -> BrokerConfigurationError? {
    var configuration = BrokerConfiguration(host: "b", port: 1, clientID: "c", filters: [TopicScheme.filter])
    change(&configuration)
    do {
      try configuration.validate()
      return nil
    } catch {
      return error
    }
  }

  @Test func everyFaultIsNamed() {
    #expect(wrong { _ in } == nil)
    #expect(wrong { $0.filters = ["$share/g/vigil/v1/+/+/+"] } == nil)
    #expect(wrong { $0.statusTopic = nil } == nil)
    #expect(wrong { $0.clientID = "" } != nil)
    #expect(wrong { $0.clientID = "a/b" } != nil)
    #expect(wrong { $0.keepAliveSeconds = 4 } == .range("keep_alive 4: expected 5 to 65535 seconds"))
    #expect(wrong { $0.receiveMaximum = 65_536 } == .range("receive_maximum 65536: expected 1 to 65535"))
    #expect(wrong { $0.receiveMaximum = 0 } != nil)
    #expect(wrong { $0.password = "x" } == .credentials("a password needs a username"))
    #expect(wrong { $0.filters = [] } != nil)
    #expect(wrong { $0.filters = ["a/#/b"] } != nil)
    #expect(wrong { $0.statusTopic = "a/+" } != nil)
    #expect(wrong { $0.tls = TLSOptions(certificate: "c.pem") } != nil)
  }

  @Test func urlAndCertificatesAgree() throws {
    let secure = try BrokerConfiguration(url: "mqtts://b", clientID: "c", filters: ["#"])
    #expect(secure.tls == TLSOptions())
    let plain = try BrokerConfiguration(url: "mqtt://b", clientID: "c", filters: ["#"])
    #expect(plain.tls == nil && plain.resolvedStatusTopic == "vigil/v1/$status/c")
    #expect(throws: BrokerConfigurationError.self) {
      try BrokerConfiguration(url: "mqtt://b", tls: TLSOptions(authority: "ca"), clientID: "c", filters: ["#"])
    }
  }
}

@Suite struct ReconnectScheduleTests {
  @Test(arguments: 0..<50)
  func doublesWithJitterUpToTheCap(seed: Int) {
    var schedule = ReconnectSchedule(seed: UInt64(seed))
    let bounds: [ClosedRange<Int64>] = [1...2, 2...4, 4...8, 8...16, 15...30, 15...30, 15...30]
    for bound in bounds {
      let pause = schedule.pause(connectedFor: nil)
      #expect(pause >= .seconds(bound.lowerBound) && pause <= .seconds(bound.upperBound))
    }
  }

  @Test func onlyASettledConnectionStartsOver() {
    var schedule = ReconnectSchedule(seed: 3)
    for _ in 0..<6 { _ = schedule.pause(connectedFor: nil) }
    #expect(schedule.pause(connectedFor: .seconds(1)) >= .seconds(15))
    #expect(schedule.pause(connectedFor: ReconnectSchedule.settled) <= .seconds(2))
  }

  @Test func sameSeedSamePauses() {
    var one = ReconnectSchedule(seed: 9)
    var two = ReconnectSchedule(seed: 9)
    var other = ReconnectSchedule(seed: 10)
    let pauses = (0..<20).map { _ in one.pause(connectedFor: nil) }
    #expect(pauses == (0..<20).map { _ in two.pause(connectedFor: nil) })
    #expect(pauses != (0..<20).map { _ in other.pause(connectedFor: nil) })
  }

  @Test func neverEndsAndNeverOverflows() {
    var schedule = ReconnectSchedule(first: .seconds(1_000_000_000), cap: .seconds(9_000_000_000), seed: 1)
    for _ in 0..<1000 { #expect(schedule.pause(connectedFor: nil) >= .seconds(1_000_000_000)) }
  }
}

@Suite struct SessionDrainTests {
  @Test func endsWhenTheLineFallsQuietAfterSuback() {
    var drain = SessionDrain()
    drain.accepted(sessionPresent: true)
    drain.fellQuiet()
    #expect(drain.isActive)
    drain.subscribeAnswered()
    #expect(drain.isActive)
    drain.fellQuiet()
    #expect(!drain.isActive)
  }

  @Test func steadySmallBatchesAreLive() {
    var drain = SessionDrain()
    drain.accepted(sessionPresent: true)
    drain.subscribeAnswered()
    for _ in 0..<1000 { drain.emptied(afterReading: SessionDrain.smallBatch) }
    for _ in 1..<SessionDrain.steadyBatches { drain.emptied(afterReading: 1) }
    #expect(drain.isActive)
    drain.emptied(afterReading: 1)
    #expect(!drain.isActive)
  }

  @Test func aNewSessionHasNoBacklog() {
    var drain = SessionDrain()
    drain.accepted(sessionPresent: false)
    #expect(!drain.isActive)
  }
}

@Suite struct LibraryWordsTests {
  @Test func tlsLines() {
    #expect(
      Library.tlsText("OpenSSL Error[0]: error:0A00045C:SSL routines::tlsv13 alert certificate required")
        == "tlsv13 alert certificate required")
    #expect(Library.tlsText("Error: host name verification failed.") == "host name verification failed")
  }

  @Test func namesResolveToRoutes() throws {
    #expect(try BrokerRoute.routes(host: "127.0.0.1", tls: false) == [BrokerRoute(host: "127.0.0.1", bindAddress: nil)])
    #expect(
      try BrokerRoute.routes(host: "127.0.0.1", tls: true) == [BrokerRoute(host: "127.0.0.1", bindAddress: "0.0.0.0")])
  }
}
