import MQTTIngress
import TestSupport
import Testing

/// The broker settings that ship with the product.
@Suite struct ShippedBrokerTests {
  @Test func nothingIsDroppedWhileAwayAndAcrossARestart() throws {
    let broker = try Broker(configurationFile: RepositoryRoot.path + "/Deploy/mosquitto.conf")
    let configuration = BrokerConfiguration.test(broker, client: "c")
    let before = try connected(configuration, RecordingSink())
    #expect(eventually { before.state.subscribed })
    before.stop()
    before.join()

    let sent = (0..<3000).map(String.init)
    let publisher = try publisher(broker)
    for payload in sent { try publisher.publish(topic: "vigil/v1/t/d/vitals", payload: payload) }
    try publisher.flush()
    publisher.disconnect()
    try broker.restart()

    let sink = RecordingSink()
    let after = try connected(configuration, sink)
    #expect(eventually { sink.messages.count == sent.count })
    #expect(sink.payloads == sent)
    after.stop()
    after.join()
    withExtendedLifetime(broker) {}
  }
}
