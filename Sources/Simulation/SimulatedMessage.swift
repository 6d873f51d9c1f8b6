import VitalModel

/// One value of a simulated message.
package struct SimulatedObservation: Hashable, Sendable {
  package enum Value: Hashable, Sendable {
    case number(DecimalValue)
    /// A letter of the registry (`consciousness`: A, C, V, P, U).
    case letter(String)

    /// The text as it stands in a CSV cell.
    package var text: String {
      switch self {
      case .number(let value): value.description
      case .letter(let letter): letter
      }
    }
  }

  /// Registry key.
  package var key: String
  package var value: Value
  /// UCUM unit; nil: the registry's canonical unit, about which no two countries differ.
  package var unit: String?
  /// 0...1 with at most two places.
  package var quality: DecimalValue?
  package var source: String?
  package var status: SampleStatus?

  package init(
    _ key: String, _ value: Value, unit: String? = nil, quality: DecimalValue? = nil, source: String? = nil,
    status: SampleStatus? = nil
  ) {
    self.key = key
    self.value = value
    self.unit = unit
    self.quality = quality
    self.source = source
    self.status = status
  }
}

/// The bedside monitor's own alarm.
package struct SimulatedEvent: Hashable, Sendable {
  package var event: String
  package var starts: Bool
  package var priority: Priority
  /// The same for the start and the end of one alarm.
  package var alertID: String
}

/// One message of a simulated device.
package struct SimulatedMessage: Hashable, Sendable {
  package enum Content: Hashable, Sendable {
    case vitals([SimulatedObservation])
    case status(online: Bool)
    case event(SimulatedEvent)
  }

  package var tenant: String
  package var device: String
  package var patient: String
  /// When it leaves the device, true time, milliseconds since 1970; never falls within one ward.
  package var sentAt: Int64
  /// What the device says the time is (its clock may be wrong, a backlog is old), milliseconds since 1970.
  package var time: Int64
  /// Rises by one with every message of the device; status messages carry none.
  package var sequence: Int64?
  package var content: Content

  /// Last part of the topic.
  package var channel: String {
    switch content {
    case .vitals: "vitals"
    case .status: "status"
    case .event: "event"
    }
  }

  /// `vigil/v1/{tenant}/{device}/{channel}`.
  package var topic: String { "vigil/v1/\(tenant)/\(device)/\(channel)" }
}
