import MQTTIngress
import TestSupport
import Testing

/// Nothing is acknowledged before it is durable.
@Suite struct GateTests {
  @Test(arguments: [MQTTVersion.v5, .v311])
  func whatWasNotDurableIsDeliveredAgain(version: MQTTVersion) throws {
    let broker = try Broker()
    let configuration = BrokerConfiguration.test(broker, client: "gate", version: version)
    let first = RecordingSink(.withheld)
    let connection = try connected(configuration, first)
    let publisher = try publisher(broker)
    let sent = (0..<300).map { "m\($0)" }
    // The subscription exists once its first message arrives; until then QoS 1 messages have no receiver.
    #expect(eventually { broker.log.contains("Sending SUBACK to gate") })
    for payload in sent { try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: payload) }
    try publisher.flush()
    #expect(eventually { first.isWaiting })
    #expect(broker.log.occurrences(of: "Received PUBACK from gate") == 0)

    first.set(.givenUp)
    connection.join()
    #expect(connection.state.phase == .stopped)
    #expect(connection.state.batches == 0)
    #expect(broker.log.occurrences(of: "Received PUBACK from gate") == 0)

    let second = RecordingSink()
    let resumed = try connected(configuration, second)
    #expect(eventually { second.messages.count >= sent.count })
    #expect(second.payloads == sent)
    #expect(resumed.state.sessionPresent)
    #expect(second.messages.allSatisfy { $0.resumedSession && $0.qos == 1 })
    // The broker marks what it had sent before, and only that.
    let again = second.messages.count { $0.duplicate }
    #expect(again >= first.messages.count)
    resumed.stop()
    resumed.join()

    // Everything was acknowledged in the orderly stop: only what is new arrives.
    try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "new")
    try publisher.flush()
    let third = RecordingSink()
    let last = try connected(configuration, third)
    #expect(eventually { !third.messages.isEmpty })
    #expect(third.payloads == ["new"])
    last.stop()
    last.join()
    withExtendedLifetime(broker) {}
  }

  @Test func stopWaitsForDurabilityAndAcknowledges() throws {
    let broker = try Broker()
    let sink = RecordingSink(.withheld)
    let connection = try connected(.test(broker, client: "gate"), sink)
    let publisher = try publisher(broker)
    #expect(eventually { broker.log.contains("Sending SUBACK to gate") })
    try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "one")
    #expect(eventually { sink.isWaiting })
    connection.stop()
    #expect(sink.isWaiting)
    sink.set(.promised)
    connection.join()
    #expect(eventually { broker.log.occurrences(of: "Received PUBACK from gate") == 1 })
    #expect(eventually { broker.log.contains("Received DISCONNECT from gate") })
    #expect(connection.state.phase == .stopped)
    withExtendedLifetime(broker) {}
  }

  @Test func receiveMaximumBoundsWhatTheBrokerSends() throws {
    let broker = try Broker()
    let sink = RecordingSink(.withheld)
    var configuration = BrokerConfiguration.test(broker, client: "bounded")
    configuration.receiveMaximum = 10
    let connection = try connected(configuration, sink)
    let publisher = try publisher(broker)
    #expect(eventually { broker.log.contains("Sending SUBACK to bounded") })
    for index in 0..<100 { try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "\(index)") }
    try publisher.flush()
    #expect(eventually { sink.isWaiting })
    #expect(sink.messages.count <= 10)
    #expect(broker.log.occurrences(of: "Sending PUBLISH to bounded") == 10)
    sink.set(.promised)
    #expect(eventually { sink.messages.count == 100 })
    #expect(sink.payloads == (0..<100).map(String.init))
    connection.stop()
    connection.join()
    withExtendedLifetime(broker) {}
  }

  @Test func aStoppedBrokerDuringTheWaitLosesNothing() throws {
    let broker = try Broker()
    let sink = RecordingSink(.withheld)
    let connection = try connected(.test(broker, client: "gate"), sink)
    let publisher = try publisher(broker)
    #expect(eventually { broker.log.contains("Sending SUBACK to gate") })
    try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "one")
    #expect(eventually { sink.isWaiting })
    publisher.disconnect()
    try broker.restart()
    sink.set(.promised)
    // The queued acknowledgement belonged to the lost connection: the broker delivers again, marked as duplicate.
    #expect(eventually { sink.messages.count == 2 })
    #expect(sink.payloads == ["one", "one"])
    #expect(eventually { broker.log.occurrences(of: "Received PUBACK from gate") == 1 })
    connection.stop()
    connection.join()
    withExtendedLifetime(broker) {}
  }
}
