import Compression
import KeyValueStore
import Pipeline
import VitalModel

/// One transition of an alert as stored.
package struct StoredTransition: Hashable, Sendable {
  package var alertID: String
  package var sequence: Int
  package var patient: UInt32
  /// Journal position that caused it.
  package var position: UInt64
  /// Milliseconds since 1970.
  package var detectedTime: Int64
  package var onsetTime: Int64
  package var phase: AlertPhase
  package var state: AlertState
  package var priority: Priority
  package var kind: AlertKind
  package var isNotified: Bool
  /// The alert document, JSON.
  package var document: String
  /// The facts that explain it, JSON; nil where none were recorded.
  package var evidence: String?

  package init(
    alertID: String, sequence: Int, patient: UInt32, position: UInt64, detectedTime: Int64, onsetTime: Int64,
    phase: AlertPhase, state: AlertState, priority: Priority, kind: AlertKind, isNotified: Bool, document: String,
    evidence: String?
  ) {
    self.alertID = alertID
    self.sequence = sequence
    self.patient = patient
    self.position = position
    self.detectedTime = detectedTime
    self.onsetTime = onsetTime
    self.phase = phase
    self.state = state
    self.priority = priority
    self.kind = kind
    self.isNotified = isNotified
    self.document = document
    self.evidence = evidence
  }
}

/// One try to deliver one transition to one receiver.
package struct DeliveryAttempt: Hashable, Sendable {
  package var sequence: Int
  package var receiver: String
  /// Counts from 1.
  package var attempt: Int
  /// Milliseconds since 1970.
  package var timeMs: Int64
  /// HTTP status; 0 when there was no answer.
  package var status: Int
  /// Whether the receiver has it now.
  package var isDelivered: Bool
  /// What went wrong, without patient data; empty when nothing did.
  package var detail: String

  package init(
    sequence: Int, receiver: String, attempt: Int, timeMs: Int64, status: Int, isDelivered: Bool, detail: String = ""
  ) {
    self.sequence = sequence
    self.receiver = receiver
    self.attempt = attempt
    self.timeMs = timeMs
    self.status = status
    self.isDelivered = isDelivered
    self.detail = detail
  }
}

/// Transitions of alerts by patient and alert, indexes by time, by alert id and of those not ended, and the deliveries tried.
package struct AlertTable: Sendable {
  let table: Table

  static let transitionPrefix: UInt8 = 0x01
  static let patientPrefix: UInt8 = 0x02
  static let timePrefix: UInt8 = 0x03
  static let deliveryPrefix: UInt8 = 0x04
  static let activePrefix: UInt8 = 0x05

  // MARK: Writing

  /// Puts a transition and its index rows into a write; the same transition again changes nothing.
  func put(_ transition: Transition, in batch: WriteBatch) throws(JournalError) {
    let document = transition.document
    let sequence = UInt32(clamping: document.sequence)
    batch.put(
      table.family, key: try self.key(transition.patient, document.alertID, sequence),
      value: AlertTable.value(transition))
    batch.put(
      table.family, key: try patientKey(document.alertID),
      value: SealedValue.seal { $0.append(littleEndian: transition.patient) })
    let time = try makeKey { (key) throws(KeyError) in
      key.append(AlertTable.timePrefix)
      key.append(document.detectedTime)
      key.append(transition.patient)
      try table.append(document.alertID, to: &key)
      key.append(sequence)
    }
    batch.put(
      table.family, key: time,
      value: SealedValue.seal { $0.append(AlertTable.place(document.phase, AlertPhase.allCases)) })
    try markActive(document.alertID, transition.patient, document.state != .inactive, in: batch)
  }

  /// Puts a delivery attempt into a write.
  package func put(_ attempt: DeliveryAttempt, alertID: String, in batch: WriteBatch) throws(JournalError) {
    let key = try makeKey { (key) throws(KeyError) in
      key.append(AlertTable.deliveryPrefix)
      try table.append(alertID, to: &key)
      key.append(UInt32(clamping: attempt.sequence))
      try table.append(attempt.receiver, to: &key)
      key.append(UInt32(clamping: attempt.attempt))
      key.append(attempt.timeMs)
    }
    let value = SealedValue.seal { out in
      out.append(zigzag: Int64(attempt.status))
      out.append(attempt.isDelivered ? 1 : 0)
      out.append(counted: attempt.detail)
    }
    batch.put(table.family, key: key, value: value)
  }

  // MARK: Reading

  /// All transitions of an alert by rising sequence; none when the alert is unknown.
  package func transitions(alertID: String) throws(JournalError) -> [StoredTransition] {
    var found: [StoredTransition] = []
    guard let patient = try patient(ofAlert: alertID) else { return found }
    try table.scan(prefix: try alertPrefix(patient, alertID)) { (key, value) throws(JournalError) in
      found.append(try transition(key, value))
      return true
    }
    return found
  }

  /// The newest transition of an alert; nil when the alert is unknown.
  package func newest(alertID: String) throws(JournalError) -> StoredTransition? {
    guard let patient = try patient(ofAlert: alertID) else { return nil }
    var found: StoredTransition?
    let prefix = try alertPrefix(patient, alertID)
    try table.scan(prefix: prefix, isReversed: true) { (key, value) throws(JournalError) in
      found = try transition(key, value)
      return false
    }
    return found
  }

  /// The patient an alert is about; nil when the alert is unknown.
  package func patient(ofAlert alertID: String) throws(JournalError) -> UInt32? {
    try table.read(try patientKey(alertID), position: 0) { (reader) throws(ByteError) in
      try reader.littleEndian(UInt32.self)
    }
  }

  /// Transitions of a patient, by alert id and sequence.
  package func transitions(patient: UInt32, limit: Int = .max) throws(JournalError) -> [StoredTransition] {
    var found: [StoredTransition] = []
    var prefix = KeyBuilder()
    prefix.append(AlertTable.transitionPrefix)
    prefix.append(patient)
    guard limit > 0 else { return found }
    try table.scan(prefix: prefix.bytes) { (key, value) throws(JournalError) in
      found.append(try transition(key, value))
      return found.count < limit
    }
    return found
  }

  /// All transitions, by patient, alert id and sequence.
  func eachTransition(_ body: (StoredTransition) -> Void) throws(JournalError) {
    try table.scan(prefix: [AlertTable.transitionPrefix]) { (key, value) throws(JournalError) in
      body(try transition(key, value))
      return true
    }
  }

  /// Transitions detected in `start..<end` (milliseconds), oldest first or newest first.
  package func list(
    from start: Int64 = .min, to end: Int64 = .max, limit: Int, newestFirst: Bool = false
  ) throws(JournalError) -> [StoredTransition] {
    var found: [StoredTransition] = []
    guard limit > 0 else { return found }
    try forEachInTime(from: start, to: end, newestFirst: newestFirst) { transition in
      found.append(transition)
      return found.count < limit
    }
    return found
  }

  /// Lends what the time index names, in its order, until `body` returns false.
  func forEachInTime(
    from start: Int64 = .min, to end: Int64 = .max, newestFirst: Bool = false, _ body: (StoredTransition) -> Bool
  ) throws(JournalError) {
    guard start < end else { return }
    let (lower, upper) = (AlertTable.timeKey(start), AlertTable.timeKey(end))
    try table.scan(lower: lower, upper: upper, isReversed: newestFirst) { (key, _) throws(JournalError) in
      let (patient, alertID, sequence) = try table.parse(key) { (reader) throws(KeyError) in
        _ = try reader.int64()
        return (try reader.uint32(), try table.text(&reader), try reader.uint32())
      }
      let primary = try self.key(patient, alertID, sequence)
      let value = try storing { () throws(StoreError) in try table.store.get(table.family, key: primary) }
      guard let value else { throw .damaged(family: table.family.name, position: 0, .malformed("the time index")) }
      return body(
        try lending(primary) { (key) throws(JournalError) in
          try lending(value) { (value) throws(JournalError) in try transition(key, value) }
        })
    }
  }

  /// Lends all transitions of every alert whose `start` was detected in `start..<end` (milliseconds), by rising sequence;
  /// alerts come by time of their start, then patient and id. Stops when `body` returns false. O(alerts in the range).
  package func forEachAlert(
    from start: Int64 = .min, to end: Int64 = .max, _ body: ([StoredTransition]) throws(JournalError) -> Bool
  ) throws(JournalError) {
    guard start < end else { return }
    let (lower, upper) = (AlertTable.timeKey(start), AlertTable.timeKey(end))
    let wanted = AlertTable.place(AlertPhase.start, AlertPhase.allCases)
    try table.scan(lower: lower, upper: upper) { (key, value) throws(JournalError) in
      let phase = try table.open(value, position: 0) { (reader) throws(ByteError) in try reader.byte() }
      guard phase == wanted else { return true }
      let (patient, alertID) = try table.parse(key) { (reader) throws(KeyError) in
        _ = try reader.int64()
        let found = (try reader.uint32(), try table.text(&reader))
        _ = try reader.uint32()
        return found
      }
      var transitions: [StoredTransition] = []
      try table.scan(prefix: try alertPrefix(patient, alertID)) { (key, value) throws(JournalError) in
        transitions.append(try transition(key, value))
        return true
      }
      return transitions.isEmpty ? true : try body(transitions)
    }
  }

  /// Number of transitions, of one phase or all (SEMANTICS A7 counts alerts by their `start`); reads the time index.
  package func count(phase: AlertPhase? = nil) throws(JournalError) -> Int {
    var count = 0
    try table.scan(prefix: [AlertTable.timePrefix]) { (_, value) throws(JournalError) in
      guard let phase else {
        count += 1
        return true
      }
      let found = try table.open(value, position: 0) { (reader) throws(ByteError) in
        AlertTable.value(at: try reader.byte(), AlertPhase.allCases)
      }
      if found == phase { count += 1 }
      return true
    }
    return count
  }

  /// All attempts to deliver transitions of an alert, by sequence, receiver and attempt.
  package func deliveries(alertID: String) throws(JournalError) -> [DeliveryAttempt] {
    let prefix = try makeKey { (key) throws(KeyError) in
      key.append(AlertTable.deliveryPrefix)
      try table.append(alertID, to: &key)
    }
    var found: [DeliveryAttempt] = []
    try table.scan(prefix: prefix) { (key, value) throws(JournalError) in
      var attempt = try table.parse(key) { (reader) throws(KeyError) in
        _ = try table.text(&reader)
        return DeliveryAttempt(
          sequence: Int(try reader.uint32()), receiver: try table.text(&reader), attempt: Int(try reader.uint32()),
          timeMs: try reader.int64(), status: 0, isDelivered: false)
      }
      (attempt.status, attempt.isDelivered, attempt.detail) = try table.open(value, position: 0) {
        (reader) throws(ByteError) in
        (Int(try reader.zigzag()), try reader.byte() == 1, try reader.countedString())
      }
      found.append(attempt)
      return true
    }
    return found
  }

  // MARK: Keys and values

  private func alertPrefix(_ patient: UInt32, _ alertID: String) throws(JournalError) -> [UInt8] {
    try makeKey { (key) throws(KeyError) in
      key.append(AlertTable.transitionPrefix)
      key.append(patient)
      try table.append(alertID, to: &key)
    }
  }
  private func key(_ patient: UInt32, _ alertID: String, _ sequence: UInt32) throws(JournalError) -> [UInt8] {
    var key = KeyBuilder()
    key.append(raw: try alertPrefix(patient, alertID))
    key.append(sequence)
    return key.bytes
  }
  func patientKey(_ alertID: String) throws(JournalError) -> [UInt8] {
    try makeKey { (key) throws(KeyError) in
      key.append(AlertTable.patientPrefix)
      try table.append(alertID, to: &key)
    }
  }
  private static func timeKey(_ time: Int64) -> [UInt8] {
    var key = KeyBuilder()
    key.append(timePrefix)
    key.append(time)
    return key.bytes
  }

  private static func value(_ transition: Transition) -> [UInt8] {
    let document = transition.document
    let json = document.json
    return SealedValue.seal(capacity: json.utf8.count + (transition.evidence?.utf8.count ?? 0) + 48) { out in
      out.append(littleEndian: transition.position)
      out.append(littleEndian: document.detectedTime)
      out.append(littleEndian: document.onsetTime)
      out.append(place(document.phase, AlertPhase.allCases))
      out.append(place(document.state, AlertState.allCases))
      out.append(document.priority.rawValue)
      out.append(place(document.kind, AlertKind.allCases))
      out.append((transition.isNotified ? 1 : 0) | (transition.evidence == nil ? 0 : 2))
      out.append(counted: json)
      if let evidence = transition.evidence { out.append(counted: evidence) }
    }
  }

  func transition(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(JournalError) -> StoredTransition {
    let (patient, alertID, sequence) = try table.parse(key) { (reader) throws(KeyError) in
      (try reader.uint32(), try table.text(&reader), Int(try reader.uint32()))
    }
    return try table.open(value, position: UInt64(patient)) { (reader) throws(ByteError) in
      let position: UInt64 = try reader.littleEndian()
      let detected: Int64 = try reader.littleEndian()
      let onset: Int64 = try reader.littleEndian()
      guard let phase = AlertTable.value(at: try reader.byte(), AlertPhase.allCases),
        let state = AlertTable.value(at: try reader.byte(), AlertState.allCases),
        let priority = Priority(rawValue: try reader.byte()),
        let kind = AlertTable.value(at: try reader.byte(), AlertKind.allCases)
      else { return nil }
      let marks = try reader.byte()
      guard marks < 4 else { return nil }
      return StoredTransition(
        alertID: alertID, sequence: sequence, patient: patient, position: position, detectedTime: detected,
        onsetTime: onset, phase: phase, state: state, priority: priority, kind: kind, isNotified: marks & 1 != 0,
        document: try reader.countedString(), evidence: marks & 2 != 0 ? try reader.countedString() : nil)
    }
  }

  /// Position of a case in its type's list: part of the format, so new cases go to the end.
  private static func place<Value: Equatable>(_ value: Value, _ all: [Value]) -> UInt8 {
    UInt8(clamping: all.firstIndex(of: value) ?? 0)
  }
  private static func value<Value>(at place: UInt8, _ all: [Value]) -> Value? {
    Int(place) < all.count ? all[Int(place)] : nil
  }
}
