import VitalModel

/// One parsed value of a recording: 24 bytes.
package struct RecordedCell: Hashable, Sendable, BitwiseCopyable {
  /// The number as it stands in the file, in the unit numbered `unit`; a letter as its registry number.
  package var value: DecimalValue
  /// ``SampleStatus``, raw.
  package var statusRaw: UInt8 = 0
  /// Position in ``VitalDefinition/units``.
  package var unit: UInt8
  package var code: VitalCode
  /// Number in ``RecordingNames/sources``; 0: none given.
  package var source: UInt16 = 0
  package var quality = SampleQuality.absent
  // An empty literal would build the set through an unspecialised generic, about 80 ns a cell.
  package var flags = SampleFlags(rawValue: 0)

  package init(code: VitalCode, unit: UInt8, value: DecimalValue) {
    self.code = code
    self.unit = unit
    self.value = value
  }

  package var status: SampleStatus { SampleStatus(rawValue: statusRaw) ?? .ok }
}

/// One message of a recording: what one device measured of one patient at one time.
package struct RecordedRow {
  /// Number in ``RecordingNames/patients``.
  package var patient: UInt32
  /// Number in ``RecordingNames/devices``.
  package var device: UInt32
  /// Number in ``RecordingNames/tenants``.
  package var tenant: UInt32
  /// Event time, milliseconds since 1970.
  package var time: Int64
  /// Device sequence number; `Int64.min`: none.
  package var sequence: Int64
  /// When it was received the first time, milliseconds since 1970; `Int64.min`: not recorded.
  package var ingestTime: Int64
  /// At least one, in the order of their codes; the last carries ``SampleFlags/endOfMessage``. Valid as long as the giver
  /// says.
  package var cells: UnsafeBufferPointer<RecordedCell>

  package static let absent = Int64.min

  package init(
    patient: UInt32, device: UInt32, tenant: UInt32, time: Int64, sequence: Int64, ingestTime: Int64,
    cells: UnsafeBufferPointer<RecordedCell>
  ) {
    self.patient = patient
    self.device = device
    self.tenant = tenant
    self.time = time
    self.sequence = sequence
    self.ingestTime = ingestTime
    self.cells = cells
  }

  /// The slot of one of its cells, received when it was measured; whose it is, and its source, are for the caller to number.
  package func slot(_ cell: RecordedCell) -> Slot {
    var slot = Slot()
    slot.kind = .sample
    slot.status = cell.status
    slot.flags = cell.flags.subtracting(.endOfMessage)
    slot.code = cell.code
    slot.unit = cell.unit
    slot.value = cell.value
    slot.quality = cell.quality
    slot.eventTime = time
    slot.ingestTime = time
    if sequence != RecordedRow.absent {
      slot.deviceSequence = sequence
      slot.flags.insert(.hasSequence)
    }
    return slot
  }
}

/// The texts that rows carry as numbers.
package final class RecordingNames {
  package let patients = NameTable()
  package let devices = NameTable()
  package let tenants = NameTable()
  /// Number 0 is the empty text: no source given.
  package let sources = NameTable()

  package init() { _ = sources.number(of: "") }
}

/// What a reader met, as SEMANTICS A7 counts.
package struct RecordingCounts: Hashable, Sendable {
  /// Lines with content, headers not counted.
  package var lines = 0
  /// Rows given out.
  package var messages = 0
  /// Cells given out.
  package var cells = 0
  /// Non-empty cells of known codes, readable or not.
  package var samples = 0
  /// Non-empty cells of columns nobody knows.
  package var skippedCells = 0
  /// Refused cells by reason. Only an unknown code is not a sample: samples = cells + the other refusals.
  package var refused: [QuarantineReason: Int] = [:]
  /// Rows that stand behind one of the same patient they should stand before: by (time, device, code), SEMANTICS B8.
  package var outOfOrder = 0
}

/// A row or cell that cannot be read.
package struct RecordingRefusal: Hashable, Sendable {
  package var file = ""
  /// Line in the file, from 1.
  package var line: Int
  /// Column or key; nil: the whole row.
  package var column: String?
  package var reason: QuarantineReason
  /// The start of what stands there, at most 256 bytes. Patient data: for the quarantine, not for logs.
  package var text: String
  /// Samples lost with it.
  package var cells: Int
  /// Whose it is and when, as far as the row could be read; nil otherwise.
  package var patient: UInt32?
  package var device: UInt32?
  package var time: Int64?
}

/// A device's own alarm or a known moment in a recording (SEMANTICS A11).
package struct RecordedEvent: Hashable, Sendable {
  package var patient: String
  /// Empty when the file does not say.
  package var device = ""
  /// Milliseconds since 1970.
  package var time: Int64
  /// Key or MDC reference id, as it stands.
  package var event: String
  package var starts: Bool

  package init(patient: String, device: String = "", time: Int64, event: String, starts: Bool) {
    self.patient = patient
    self.device = device
    self.time = time
    self.event = event
    self.starts = starts
  }
}
