import VitalModel

/// A name that got a number. Numbers are dense, never reused, and journaled before anything that uses them.
package enum DirectoryEntry: Hashable, Sendable {
  case source(number: UInt16, text: String)
  case device(number: UInt32, tenant: String, device: String)
  case patient(number: UInt32, tenant: String, patient: String)
  case series(number: UInt32, patient: UInt32, code: VitalCode, device: UInt32, source: UInt16)
  /// From here on event times of this device are corrected by adding this many milliseconds; 0 ends the correction.
  case clockOffset(device: UInt32, milliseconds: Int64)
}

/// What a text entry of the journal is about.
package enum JournalTextKind: UInt8, Sendable, CaseIterable {
  /// Canonical JSON of the roster in force from here on.
  case roster = 1
  /// JSON of the rule set in force from here on: `{"set":...,"sources":[{"path","text"}],"registry":...}`.
  case rules = 2
  /// A device's own alarm, native JSON; the slot says whose and when.
  case deviceEvent = 3
  /// Raw waveform payload, stored only.
  case wave = 4
  /// Engine options in force from here on, JSON.
  case options = 5
  /// What a person did about one patient's alerts, JSON; the slot says whose and when.
  case action = 6
  /// Alerting settings in force from here on, JSON.
  case alerting = 7
}

/// One record of the journal, in the order everything happened.
package enum JournalRecord: Sendable {
  /// A sample, a device status or a clock entry; `payload` is its position.
  case slot(Slot)
  case directory(DirectoryEntry)
  /// A text with the slot that carries its position, times, device and patient.
  case text(Slot, JournalTextKind, [UInt8])
}

/// Partitions of the patient space: fixed, so that a later cluster can split a store by them (DESIGN section 3).
package let partitionCount = 64
