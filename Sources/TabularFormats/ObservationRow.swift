/// Room `TabularFormats`: stored observations as what other people's programs read: Arrow streams and FHIR lines. It
/// computes only: no file, socket, store or clock. It never rounds a number, never leaves a mark out, and holds no more than
/// one batch of rows at a time.
import VitalModel

/// One sample with its clinical meaning; names stand as places in the lists of ``ObservationNames``.
package struct ObservationRow: Hashable, Sendable, BitwiseCopyable {
  package var tenant: Int32
  package var patient: Int32
  package var device: Int32
  /// Below 0: none given.
  package var source: Int32
  package var code: VitalCode
  /// Position in `VitalDefinition.units`: the unit as received.
  package var unit: UInt8
  /// ``SampleStatus``, raw.
  package var statusRaw: UInt8
  package var flags: SampleFlags
  package var quality: SampleQuality
  /// Event time and time of receipt, ms since 1970.
  package var time: Int64
  package var ingestTime: Int64
  /// The number exactly as received.
  package var value: DecimalValue
  /// Nil: the message carried none.
  package var sequence: Int64?
  /// A correction took its place.
  package var isSuperseded: Bool

  package init(
    tenant: Int32, patient: Int32, device: Int32, source: Int32 = -1, code: VitalCode, unit: UInt8 = 0, time: Int64,
    ingestTime: Int64, value: DecimalValue, statusRaw: UInt8 = 0, flags: SampleFlags = [],
    quality: SampleQuality = .absent, sequence: Int64? = nil, isSuperseded: Bool = false
  ) {
    self.tenant = tenant
    self.patient = patient
    self.device = device
    self.source = source
    self.code = code
    self.unit = unit
    self.time = time
    self.ingestTime = ingestTime
    self.value = value
    self.statusRaw = statusRaw
    self.flags = flags
    self.quality = quality
    self.sequence = sequence
    self.isSuperseded = isSuperseded
  }

  package var status: SampleStatus { SampleStatus(rawValue: statusRaw) ?? .ok }
}

/// The texts that rows carry as places, known before the first row is written.
package struct ObservationNames: Sendable {
  package var tenants: [String]
  package var patients: [String]
  package var devices: [String]
  package var sources: [String]
  package let registry: VitalRegistry

  package init(
    tenants: [String] = [], patients: [String] = [], devices: [String] = [], sources: [String] = [],
    registry: VitalRegistry
  ) {
    self.tenants = tenants
    self.patients = patients
    self.devices = devices
    self.sources = sources
    self.registry = registry
  }

  /// The unit a number was received in.
  package func unit(_ row: ObservationRow) -> String {
    let vital = registry[row.code]
    return vital.units.indices.contains(Int(row.unit)) ? vital.units[Int(row.unit)].unit : vital.unit
  }

  /// The letter a number stands for, nil where the vital is sent as numbers.
  package func letter(_ row: ObservationRow) -> String? {
    registry[row.code].letters.first { DecimalValue(mantissa: $0.value).isSameNumber(as: row.value) }?.text
  }
}
