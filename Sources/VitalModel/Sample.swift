/// What the device said about the sensor when it measured.
package enum SampleStatus: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  case ok = 0
  case leadOff = 1
  case artifact = 2
  case searching = 3
  case calibrating = 4
  case lowBattery = 5

  /// The word on the wire.
  package var text: String {
    switch self {
    case .ok: "ok"
    case .leadOff: "lead-off"
    case .artifact: "artifact"
    case .searching: "searching"
    case .calibrating: "calibrating"
    case .lowBattery: "low-battery"
    }
  }

  package init?(text: String) {
    guard let match = SampleStatus.allCases.first(where: { $0.text == text }) else { return nil }
    self = match
  }

  /// A device-declared state in which the number says nothing about the patient: the only thing that may hold a bypass
  /// value (SEMANTICS D2).
  @inlinable
  package var isSensorOff: Bool { self == .leadOff || self == .searching || self == .calibrating }
}

/// Marks of one sample.
package struct SampleFlags: OptionSet, Hashable, Sendable, BitwiseCopyable {
  package let rawValue: UInt16
  @inlinable package init(rawValue: UInt16) { self.rawValue = rawValue }

  /// The message carried no time: event time is receive time.
  package static let timeReceived = SampleFlags(rawValue: 1 << 0)
  /// Timeless and drained from a resumed session: never opens a paging alert alone (SEMANTICS A10).
  package static let uncertain = SampleFlags(rawValue: 1 << 1)
  /// The device marked it as a correction of an earlier value.
  package static let corrected = SampleFlags(rawValue: 1 << 2)
  /// Event time was corrected for the device's steady clock offset (SEMANTICS B6).
  package static let clockCorrected = SampleFlags(rawValue: 1 << 3)
  /// The broker marked the message as a redelivery (MQTT DUP).
  package static let redelivered = SampleFlags(rawValue: 1 << 4)
  /// Last observation of its message: rules run after it.
  package static let endOfMessage = SampleFlags(rawValue: 1 << 5)
  /// The message carried a device sequence number.
  package static let hasSequence = SampleFlags(rawValue: 1 << 6)
  /// Made by the simulator: the alert says so.
  package static let simulated = SampleFlags(rawValue: 1 << 7)
  /// The device restarted (same sequence number with other content): a new device epoch begins here.
  package static let deviceRestarted = SampleFlags(rawValue: 1 << 8)
}

/// Quality 0..1 in ten-thousandths; 0xFFFF: none given.
package struct SampleQuality: Hashable, Sendable, BitwiseCopyable {
  package var raw: UInt16
  @inlinable package init(raw: UInt16) { self.raw = raw }
  package static let absent = SampleQuality(raw: 0xFFFF)

  /// - Returns: nil outside 0...1. Rounded to a ten-thousandth.
  package init?(_ value: DecimalValue) {
    guard let scaled = value.scaled(toExponent: -4), (0...10_000).contains(scaled) else { return nil }
    raw = UInt16(scaled)
  }

  /// 0...1, nil if none was given.
  package var value: Double? { raw == 0xFFFF ? nil : Double(raw) / 10_000 }

  /// The shortest decimal text, nil if none was given.
  package var text: String? {
    raw == 0xFFFF ? nil : DecimalValue(mantissa: Int64(raw), exponent: -4).normalized.description
  }
}

/// What one ring slot carries.
package enum SlotKind: UInt8, Sendable {
  /// One observation.
  case sample = 1
  /// A device's availability: `value.mantissa` 1 online, 0 offline.
  case deviceStatus = 2
  /// A payload on the heap goes with it (`payload`): quarantine item, device event, wave, control entry.
  case payload = 3
  /// The engine's clock moved to `ingestTime` (SEMANTICS B2); nothing else is in it.
  case clock = 4
  /// A control entry whose text is in the journal (rules, roster, silence ...): `value` is its number.
  case control = 5
}

/// One entry on its way from ingest through the journal to evaluation: 64 bytes, trivially copyable.
///
/// ```
///  0 kind u8 | 1 status u8 | 2 flags u16 | 4 code u16 | 6 unit u8 | 7 exponent i8
///  8 device u32 | 12 patient u32 | 16 series u32 | 20 source u16 | 22 quality u16
/// 24 event time i64 ms | 32 ingest time i64 ms | 40 mantissa i64 | 48 device sequence i64 | 56 payload u64
/// ```
package struct Slot: Sendable, BitwiseCopyable {
  package var kindRaw: UInt8 = 0
  package var statusRaw: UInt8 = 0
  package var flags = SampleFlags(rawValue: 0)
  package var code = VitalCode(index: 0)
  /// Position in ``VitalDefinition/units``.
  package var unit: UInt8 = 0
  package var exponent: Int8 = 0
  /// Directory numbers; `UInt32.max` where not (yet) known.
  package var device: UInt32 = .max
  package var patient: UInt32 = .max
  package var series: UInt32 = .max
  /// Directory number of the source text; 0: none given.
  package var source: UInt16 = 0
  package var quality = SampleQuality.absent
  package var eventTime: Int64 = 0
  package var ingestTime: Int64 = 0
  package var mantissa: Int64 = 0
  package var deviceSequence: Int64 = 0
  /// Journal position after sequencing; before it, a heap payload's address for ``SlotKind/payload``.
  package var payload: UInt64 = 0

  @inlinable package init() {}

  @inlinable package var kind: SlotKind? {
    get { SlotKind(rawValue: kindRaw) }
    set { kindRaw = newValue?.rawValue ?? 0 }
  }
  @inlinable package var status: SampleStatus {
    get { SampleStatus(rawValue: statusRaw) ?? .ok }
    set { statusRaw = newValue.rawValue }
  }
  /// The number exactly as received.
  @inlinable package var value: DecimalValue {
    get { DecimalValue(mantissa: mantissa, exponent: exponent) }
    set {
      mantissa = newValue.mantissa
      exponent = newValue.exponent
    }
  }
}

/// Why something was refused. The text is part of the contract.
package enum QuarantineReason: String, Sendable, CaseIterable {
  case malformed
  case unknownCode = "unknown_code"
  case unknownUnit = "unknown_unit"
  case impossibleValue = "impossible_value"
  case inconsistent
  case futureTime = "future_time"
  case unassignedDevice = "unassigned_device"
  case oversize
  case duplicateConflict = "duplicate_conflict"
  case timelessRetained = "timeless_retained"
  /// The topic does not follow the scheme, so nobody can say whose data it is.
  case unknownTopic = "unknown_topic"
  /// A time outside the years 1900 to 2200.
  case impossibleTime = "impossible_time"
  /// An input position that was being handled at two successive crashes.
  case crashSuspect = "crash_suspect"
}
