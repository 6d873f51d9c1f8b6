import VitalModel

/// Which clock moves an engine (SEMANTICS B1).
package enum EngineClock: String, Sendable {
  /// Journaled ingest time.
  case wall
  /// Each patient's own highest event time.
  case stream
}

package struct EngineOptions: Sendable, Equatable {
  package var clock: EngineClock
  /// A sample further behind the clock than this is retrospective, milliseconds (SEMANTICS B5).
  package var lateness: Int64
  /// Whether every transition carries the facts that explain it.
  package var recordsEvidence: Bool
  /// Stages switched off for an ablation.
  package var without: Set<SuppressionStage>
  /// How alerts behave until an entry says otherwise.
  package var alerting = AlertingSettings()
  /// Whether transitions and ledger rows are written out as documents; if not, ``Engine/brief`` says when alerts of the
  /// rules started and ended, and nothing else is recorded.
  package var recordsDocuments = true

  package init(
    clock: EngineClock = .wall, lateness: Int64 = 30_000, recordsEvidence: Bool = true,
    without: Set<SuppressionStage> = []
  ) {
    self.clock = clock
    self.lateness = lateness
    self.recordsEvidence = recordsEvidence
    self.without = without
  }
}

/// Names behind the numbers in slots; asked only where something is written down.
package protocol NameSource: AnyObject {
  /// Facts as the roster of that number gives them.
  func patientFacts(_ patient: UInt32, roster: Int) -> PatientFacts
  func deviceName(_ device: UInt32) -> String
  func sourceName(_ source: UInt16) -> String
  /// Declared cadence of a device's assignment for a vital, milliseconds; 0 unknown.
  func cadence(device: UInt32, code: VitalCode, roster: Int, at time: Int64) -> Int64
}

/// One transition of one alert, to be stored and told.
package struct Transition: Sendable {
  package var position: UInt64
  package var patient: UInt32
  package var document: AlertDocument
  /// The stored facts that explain it, a JSON object; nil where the options say so.
  package var evidence: String?
  /// Whether receivers are told: a member joining without raising the priority changes the document only.
  package var isNotified: Bool
  /// It says that somebody has acknowledged the alert.
  package var isAnswer: Bool

  package init(
    position: UInt64, patient: UInt32, document: AlertDocument, evidence: String? = nil, isNotified: Bool = true,
    isAnswer: Bool = false
  ) {
    self.position = position
    self.patient = patient
    self.document = document
    self.evidence = evidence
    self.isNotified = isNotified
    self.isAnswer = isAnswer
  }
}

/// One candidate that was not told, with the stage that held it.
package struct LedgerRow: Sendable {
  package var position: UInt64
  package var patient: UInt32
  package var document: AlertDocument

  package init(position: UInt64, patient: UInt32, document: AlertDocument) {
    self.position = position
    self.patient = patient
    self.document = document
  }
}

/// What the engine wants done after some entries: the shells carry it out.
package struct EngineOutput: Sendable {
  package var transitions: [Transition] = []
  package var ledger: [LedgerRow] = []
  package init() {}
  package var isEmpty: Bool { transitions.isEmpty && ledger.isEmpty }
  package mutating func removeAll() {
    transitions.removeAll(keepingCapacity: true)
    ledger.removeAll(keepingCapacity: true)
  }
}
