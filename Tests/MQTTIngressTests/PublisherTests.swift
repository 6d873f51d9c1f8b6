import MQTTIngress
import TestSupport
import Testing

/// The publisher against a real broker.
@Suite struct PublisherTests {
  @Test func refusalsAndAbsenceAreTyped() throws {
    var options = Broker.Options()
    options.users = ["vigil": "right"]
    let broker = try Broker(options)
    var publishing = MQTTPublisher.Options(host: "127.0.0.1", port: broker.port, clientID: "p")
    publishing.username = "vigil"
    publishing.password = "wrong"
    #expect(
      throws: PublisherError.refused("not authorised: bad username or password, or this client is not allowed")
    ) { try MQTTPublisher(publishing) }
    broker.stop()
    #expect(throws: PublisherError.connect("connection refused")) { try MQTTPublisher(publishing) }
  }

  @Test func windowHoldsAndFlushEmptiesIt() throws {
    let broker = try Broker()
    let sink = RecordingSink()
    let connection = try connected(.test(broker, client: "c"), sink)
    #expect(eventually { broker.log.contains("Sending SUBACK to c") })
    var options = MQTTPublisher.Options(host: "127.0.0.1", port: broker.port, clientID: "p")
    options.window = 5
    let publisher = try MQTTPublisher(options)
    for index in 0..<500 {
      try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "\(index)")
      #expect(publisher.outstanding <= 5)
    }
    try publisher.flush()
    #expect(publisher.outstanding == 0)
    #expect(eventually { sink.messages.count == 500 })
    #expect(throws: PublisherError.self) { try publisher.publish(topic: "a/+/b", payload: "x") }
    publisher.disconnect()
    #expect(throws: PublisherError.closed) { try publisher.publish(topic: "a/b", payload: "x") }
    connection.stop()
    connection.join()
    withExtendedLifetime(broker) {}
  }

  @Test func flushWithoutBrokerTimesOutAndDeliversLater() throws {
    let broker = try Broker()
    let publisher = try publisher(broker)
    broker.stop()
    try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: "late", retain: true)
    #expect(throws: PublisherError.timedOut(outstanding: 1)) { try publisher.flush(timeout: .milliseconds(50)) }
    try broker.start()
    try publisher.flush()
    withExtendedLifetime(broker) {}
  }
}
