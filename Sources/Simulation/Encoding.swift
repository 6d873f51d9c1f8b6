import VitalModel

/// Writes simulated messages as devices send them and as recordings keep them. Reuses its buffer: one per thread.
package struct MessageEncoder: Sendable {
  private var bytes: [UInt8] = []
  private var cachedSecond: Int64 = .min
  private var cachedText: [UInt8] = []

  package init() { bytes.reserveCapacity(1024) }

  /// The MQTT payload (native JSON; `"simulated":true` on the message).
  package mutating func payload(_ message: SimulatedMessage) -> [UInt8] {
    bytes.removeAll(keepingCapacity: true)
    put("{")
    body(message)
    return bytes
  }

  /// The payload with its topic's parts and the patient in front, and a line feed behind.
  package mutating func jsonLine(_ message: SimulatedMessage) -> [UInt8] {
    bytes.removeAll(keepingCapacity: true)
    put("{\"tenant\":\"")
    put(message.tenant)
    put("\",\"device\":\"")
    put(message.device)
    put("\",\"patient\":\"")
    put(message.patient)
    put("\",\"channel\":\"")
    put(message.channel)
    put("\",")
    body(message)
    put("\n")
    return bytes
  }

  /// Columns of the wide CSV after `patient_id,time_s`, with the registry key each one holds.
  package static let columns: [(name: String, key: String)] = [
    ("hr", "hr"), ("pr", "pr"), ("resp", "resp"), ("spo2", "spo2"), ("sbp", "sbp"), ("dbp", "dbp"), ("map", "map"),
    ("temp_c", "temp"), ("glucose_mgdl", "glucose"), ("weight", "weight"), ("rr_interval", "rr_interval"),
    ("perfusion_index", "perfusion_index"), ("consciousness", "consciousness"), ("o2_flow", "o2_flow"),
    ("battery", "battery"),
  ]

  /// The header of the wide CSV with its line feed.
  package static var wideHeader: String {
    (["patient_id", "time_s"] + columns.map(\.name)).joined(separator: ",") + "\n"
  }

  /// One row with its line feed, `time_s` counted from `start`; nil for status and event messages, which a wide CSV
  /// cannot hold. Source, status and quality are lost in this form.
  package mutating func wideRow(_ message: SimulatedMessage, start: Int64) -> [UInt8]? {
    guard case .vitals(let observations) = message.content else { return nil }
    bytes.removeAll(keepingCapacity: true)
    put(message.patient)
    put(",")
    put(DecimalValue(mantissa: message.time - start, exponent: -3).normalized.description)
    for column in MessageEncoder.columns {
      put(",")
      if let observation = observations.first(where: { $0.key == column.key }) { put(observation.value.text) }
    }
    put("\n")
    return bytes
  }

  private mutating func body(_ message: SimulatedMessage) {
    if let sequence = message.sequence {
      put("\"seq\":")
      put(number: sequence)
      put(",")
    }
    put("\"time\":\"")
    put(time: message.time)
    put("\",\"simulated\":true")
    switch message.content {
    case .vitals(let observations):
      put(",\"observations\":[")
      for (index, observation) in observations.enumerated() {
        if index > 0 { put(",") }
        put(observation)
      }
      put("]}")
    case .status(let online):
      put(online ? ",\"online\":true}" : ",\"online\":false}")
    case .event(let event):
      put(",\"event\":\"")
      put(event.event)
      put(event.starts ? "\",\"phase\":\"start\",\"priority\":\"" : "\",\"phase\":\"end\",\"priority\":\"")
      put(event.priority.text)
      put("\",\"device_alert_id\":\"")
      put(event.alertID)
      put("\"}")
    }
  }

  private mutating func put(_ observation: SimulatedObservation) {
    put("{\"code\":\"")
    put(observation.key)
    put("\",\"value\":")
    switch observation.value {
    case .number(let value): put(decimal: value)
    case .letter(let letter):
      put("\"")
      put(letter)
      put("\"")
    }
    field(",\"unit\":\"", observation.unit)
    if let quality = observation.quality {
      put(",\"quality\":")
      put(decimal: quality)
    }
    field(",\"source\":\"", observation.source)
    field(",\"status\":\"", observation.status?.text)
    put("}")
  }

  private mutating func field(_ opening: String, _ text: String?) {
    guard let text else { return }
    put(opening)
    put(text)
    put("\"")
  }

  /// Only texts made in this room pass here; none holds a quote or a backslash, except a tenant the caller chose, which
  /// topics restrict to letters, digits and `-_.`.
  private mutating func put(_ text: String) { bytes.append(contentsOf: text.utf8) }

  private mutating func put(decimal value: DecimalValue) {
    if value.exponent == 0 { put(number: value.mantissa) } else { put(value.description) }
  }

  private mutating func put(number: Int64) {
    if number < 0 { bytes.append(UInt8(ascii: "-")) }
    let start = bytes.count
    var rest = number.magnitude
    repeat {
      bytes.append(48 + UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
    } while rest > 0
    bytes[start...].reverse()
  }

  /// Thousands of messages share a second; its text is made once.
  private mutating func put(time: Int64) {
    let milliseconds = time % 1000 < 0 ? time % 1000 + 1000 : time % 1000
    if time - milliseconds != cachedSecond {
      cachedSecond = time - milliseconds
      cachedText = Array(Timestamp.format(cachedSecond).utf8.dropLast(4))
    }
    bytes.append(contentsOf: cachedText)
    for divisor in [100, 10, 1] as [Int64] { bytes.append(48 + UInt8(milliseconds / divisor % 10)) }
    bytes.append(UInt8(ascii: "Z"))
  }
}
