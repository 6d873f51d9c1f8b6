import MQTTIngress
import TestSupport
import Testing

/// States, reconnects and what a message carries, against a real broker.
@Suite struct ConnectionTests {
  @Test func wrongPasswordIsOneClearLine() throws {
    var options = Broker.Options()
    options.users = ["vigil": "right"]
    let broker = try Broker(options)
    var configuration = BrokerConfiguration.test(broker, client: "c")
    configuration.username = "vigil"
    configuration.password = "wrong"
    let lines = StateLines()
    let connection = try BrokerConnection(configuration, sink: RecordingSink(), jitterSeed: 1) { lines.add($0) }
    connection.start()
    #expect(eventually { broker.log.occurrences(of: "Sending CONNACK to 127.0.0.1 (0, 135)") >= 3 })
    #expect(connection.state.phase == .refused)
    #expect(lines.all == ["refused: not authorised: bad username or password, or this client is not allowed"])
    connection.stop()
    connection.join()
    #expect(lines.all.last == "stopped")

    configuration.password = "right"
    let accepted = try connected(configuration, RecordingSink())
    accepted.stop()
    accepted.join()
    withExtendedLifetime(broker) {}
  }

  @Test(arguments: [MQTTVersion.v5, .v311])
  func brokerAbsentAtStart(version: MQTTVersion) throws {
    let broker = try Broker()
    broker.stop()
    let lines = StateLines()
    let sink = RecordingSink()
    let configuration = BrokerConfiguration.test(broker, client: "c", version: version)
    let connection = try BrokerConnection(configuration, sink: sink, jitterSeed: 1) { lines.add($0) }
    connection.start()
    #expect(eventually { connection.state.phase == .unreachable })
    #expect(connection.state.line == "unreachable: connection refused")
    try broker.start()
    #expect(eventually { connection.state.phase == .connected })
    #expect(connection.state.reconnects == 0)
    connection.stop()
    connection.join()
    #expect(lines.all == ["unreachable: connection refused", "connected", "stopped"])
    withExtendedLifetime(broker) {}
  }

  @Test func brokerRestartResubscribes() throws {
    let broker = try Broker()
    let sink = RecordingSink()
    let connection = try connected(.test(broker, client: "c"), sink)
    #expect(eventually { connection.state.subscribed })
    for round in 1...3 {
      try broker.restart()
      #expect(eventually { connection.state.reconnects == UInt64(round) && connection.state.phase == .connected })
      #expect(eventually { broker.log.occurrences(of: "Sending SUBACK to c") == round + 1 })
      let publisher = try publisher(broker)
      try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "\(round)")
      try publisher.flush()
      // Once the broker has the acknowledgement, the next restart cannot bring the message again.
      #expect(eventually { broker.log.occurrences(of: "Received PUBACK from c") == round })
    }
    #expect(sink.payloads == ["1", "2", "3"])
    #expect(connection.state.sessionPresent)
    connection.stop()
    connection.join()
    withExtendedLifetime(broker) {}
  }

  @Test func aBrokerThatLostTheSessionIsSubscribedAgain() throws {
    let broker = try Broker()
    let sink = RecordingSink()
    let connection = try connected(.test(broker, client: "c"), sink)
    #expect(eventually { connection.state.subscribed })
    // Killed before it saved anything: the session is gone.
    broker.kill()
    try broker.start()
    #expect(eventually { broker.log.occurrences(of: "Sending SUBACK to c") == 2 })
    #expect(!connection.state.sessionPresent)
    let publisher = try publisher(broker)
    try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "1")
    #expect(eventually { sink.payloads == ["1"] })
    connection.stop()
    connection.join()
    withExtendedLifetime(broker) {}
  }

  @Test func whatAMessageCarries() throws {
    let broker = try Broker()
    let publisher = try publisher(broker)
    try publisher.publish(topic: "vigil/v1/t/d/status", payload: "kept", retain: true)
    try publisher.flush()
    let sink = RecordingSink()
    let connection = try connected(.test(broker, client: "c"), sink)
    #expect(eventually { sink.messages.count == 1 })
    try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "{}", contentType: "application/senml+json")
    try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "", qos: 0)
    try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "two", qos: 2)
    try publisher.flush()
    #expect(eventually { sink.messages.count == 4 })
    let kept = Recorded(
      topic: "vigil/v1/t/d/status", payload: "kept", payloadBytes: 4, qos: 1, retained: true, duplicate: false,
      contentType: nil, resumedSession: false, sinceConnect: 0)
    #expect(sink.messages.first == kept)
    #expect(sink.messages.dropFirst().map(\.retained) == [false, false, false])
    #expect(sink.messages.dropFirst().map(\.contentType) == ["application/senml+json", nil, nil])
    #expect(sink.messages.dropFirst().map(\.qos) == [1, 0, 1])
    #expect(sink.messages.map(\.sinceConnect) == [0, 1, 2, 3])
    #expect(eventually { connection.state.messages == 4 })
    #expect(connection.state.bytes == 9)
    #expect(connection.state.lastConnectedMilliseconds != nil)
    connection.stop()
    connection.join()
    withExtendedLifetime(broker) {}
  }

  @Test(arguments: [MQTTVersion.v5, .v311])
  func tenMegabytesArrive(version: MQTTVersion) throws {
    let broker = try Broker()
    let sink = RecordingSink()
    let connection = try connected(.test(broker, client: "c", version: version), sink)
    #expect(eventually { broker.log.contains("Sending SUBACK to c") })
    let publisher = try publisher(broker)
    let size = 10 * 1024 * 1024
    try publisher.publish(topic: "vigil/v1/t/d/wave", payload: [UInt8](repeating: 0x5A, count: size))
    try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "after")
    try publisher.flush()
    #expect(eventually { sink.messages.count == 2 })
    #expect(sink.messages.map(\.payloadBytes) == [size, 5])
    connection.stop()
    connection.join()
    withExtendedLifetime(broker) {}
  }

  @Test func sharedSubscriptionSplits() throws {
    let broker = try Broker()
    let sinks = [RecordingSink(), RecordingSink()]
    let filters = ["$share/vigil/vigil/v1/+/+/+"]
    let connections = try zip(["a", "b"], sinks).map {
      try connected(.test(broker, client: $0, filters: filters), $1)
    }
    #expect(eventually { ["a", "b"].allSatisfy { broker.log.contains("Sending SUBACK to \($0)") } })
    let publisher = try publisher(broker)
    let sent = (0..<200).map(String.init)
    for payload in sent { try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: payload) }
    try publisher.flush()
    #expect(eventually { sinks.map(\.messages.count).reduce(0, +) == sent.count })
    #expect(Set(sinks.flatMap(\.payloads)) == Set(sent))
    #expect(sinks.allSatisfy { !$0.messages.isEmpty })
    for connection in connections { connection.stop() }
    for connection in connections { connection.join() }
    withExtendedLifetime(broker) {}
  }

  @Test func statusTopicSaysOnlineAndOffline() throws {
    let broker = try Broker()
    let watcher = RecordingSink()
    let watch = try connected(.test(broker, client: "watch", filters: ["vigil/v1/$status/watched"]), watcher)
    #expect(eventually { broker.log.contains("Sending SUBACK to watch") })

    let orderly = try connected(.test(broker, client: "watched"), RecordingSink())
    #expect(eventually { watcher.payloads == ["online"] })
    orderly.stop()
    orderly.join()
    #expect(eventually { watcher.payloads == ["online", "offline"] })

    let sink = RecordingSink(.givenUp)
    let lost = try connected(.test(broker, client: "watched"), sink)
    #expect(eventually { watcher.payloads == ["online", "offline", "online"] })
    #expect(eventually { broker.log.occurrences(of: "Sending SUBACK to watched") == 2 })
    // The connection drops without DISCONNECT: the broker publishes the last will.
    try publisher(broker).publish(topic: "vigil/v1/t/d/vitals", payload: "x", qos: 1)
    lost.join()
    #expect(eventually { watcher.payloads == ["online", "offline", "online", "offline"] })
    watch.stop()
    watch.join()
    withExtendedLifetime(broker) {}
  }

  @Test func refusedSubscriptionIsReported() throws {
    let plugin = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"
    let folder = try TemporaryDirectory()
    let file = try folder.write(
      """
      {"defaultACLAccess": {"publishClientSend": true, "publishClientReceive": true, "subscribe": false,
       "unsubscribe": true}, "clients": [], "groups": [], "roles": []}
      """, to: "security.json")
    var options = Broker.Options()
    options.extraLines = ["plugin \(plugin)", "plugin_opt_config_file \(file)"]
    let broker = try Broker(options)
    let connection = try connected(.test(broker, client: "c"), RecordingSink())
    #expect(eventually { !connection.state.refusedFilters.isEmpty })
    #expect(connection.state.line == "connected; subscription refused: vigil/v1/+/+/+ (not authorized)")
    connection.stop()
    connection.join()
    withExtendedLifetime((broker, folder)) {}
  }

  @Test func stopDuringThePauseEndsTheThread() throws {
    let broker = try Broker()
    broker.stop()
    var configuration = BrokerConfiguration.test(broker, client: "c")
    configuration.reconnectFirst = .seconds(3600)
    configuration.reconnectCap = .seconds(7200)
    let connection = try BrokerConnection(configuration, sink: RecordingSink(), jitterSeed: 1)
    connection.start()
    #expect(eventually { connection.state.phase == .unreachable })
    connection.stop()
    connection.join()
    #expect(connection.state.phase == .stopped)
    withExtendedLifetime(broker) {}
  }

  @Test func unknownHostIsUnreachable() throws {
    // An empty label is refused by the resolver itself: no name server is asked.
    let configuration = BrokerConfiguration(host: "broker..invalid", port: 1, clientID: "c", filters: ["#"])
    let connection = try BrokerConnection(configuration, sink: RecordingSink(), jitterSeed: 1)
    connection.start()
    #expect(eventually(within: 60) { connection.state.phase == .unreachable })
    #expect(!connection.state.reason.isEmpty)
    connection.stop()
    connection.join()
  }
}
