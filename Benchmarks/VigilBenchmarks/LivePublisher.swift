import Glibc
import MQTTIngress

/// A ward's heart rates over MQTT at a steady rate, QoS 1, each hundredth of them the beginning of an episode.
///
/// Devices take turns. In round `r` the devices whose number is `r` modulo 100 send a value above the benchmark rule's
/// limit; in the next round they send an ordinary one, which ends the episode. Nobody else's episode is open then.
enum LivePublisher {
  static let ordinary = 75
  static let high = 220

  /// Publishes and prints `{"sent":…,"seconds":…,"per_s":…,"episodes":…}`.
  static func run(_ options: LiveOptions) -> Int32 {
    let devices = max(200, options.number("devices", 1000))
    let rate = max(0, options.number("rate", 1000))
    let seconds = max(1, options.number("seconds", 10))
    var connection = MQTTPublisher.Options(
      host: "127.0.0.1", port: UInt16(clamping: options.number("port", 1883)),
      clientID: "live-publish-\(getpid())")
    connection.window = 1500
    do throws(PublisherError) {
      let publisher = try MQTTPublisher(connection)
      var stream = Stream(devices: devices, keepsEpisodes: options.text("output") != nil)
      let began = LiveLine.nowMicros()
      try stream.publish(through: publisher, rate: rate, until: began + Int64(seconds) * 1_000_000)
      try publisher.flush()
      let elapsed = Double(LiveLine.nowMicros() - began) / 1e6
      publisher.disconnect()
      let rounded = (elapsed * 1000).rounded() / 1000
      print(
        "{\"sent\":\(stream.sent),\"seconds\":\(rounded),\"per_s\":\(Int(Double(stream.sent) / elapsed)),"
          + "\"episodes\":\(stream.episodes.count)}")
      if let path = options.text("output"), !LiveLine.write(stream.episodes, to: path) { return 1 }
      return 0
    } catch {
      print("live-publish: \(error)")
      return 1
    }
  }

  /// What was sent so far.
  private struct Stream {
    let devices: Int
    let keepsEpisodes: Bool
    private(set) var sent = 0
    private(set) var episodes: [String] = []
    private let topics: [String]
    private let patients: [String]
    private var payload: [UInt8] = []

    init(devices: Int, keepsEpisodes: Bool) {
      self.devices = devices
      self.keepsEpisodes = keepsEpisodes
      patients = (0..<devices).map { "p\($0)" }
      topics = patients.map { "vigil/v1/demo/\($0)/vitals" }
    }

    /// Catches up with the rate every half millisecond, as a gateway of many devices would send.
    mutating func publish(
      through publisher: MQTTPublisher, rate: Int, until end: Int64
    ) throws(PublisherError) {
      let began = LiveLine.nowMicros()
      while true {
        let now = LiveLine.nowMicros()
        guard now < end else { return }
        let due = rate == 0 ? sent + 200 : Int((now - began) * Int64(rate) / 1_000_000)
        while sent < due { try publishNext(publisher) }
        if rate > 0 { usleep(500) }
      }
    }

    private mutating func publishNext(_ publisher: MQTTPublisher) throws(PublisherError) {
      let device = sent % devices
      let opens = device % 100 == sent / devices % 100
      let now = LiveLine.nowMicros()
      payload.removeAll(keepingCapacity: true)
      payload.append(contentsOf: "{\"patient\":\"".utf8)
      payload.append(contentsOf: patients[device].utf8)
      payload.append(contentsOf: "\",\"time\":\(now / 1000),\"code\":\"hr\",\"value\":\(opens ? high : ordinary)}".utf8)
      if opens, keepsEpisodes {
        episodes.append(LiveLine.text(patient: patients[device], onsetMs: now / 1000, atMicros: now))
      }
      try publisher.publish(topic: topics[device], payload: payload)
      sent += 1
    }
  }
}
