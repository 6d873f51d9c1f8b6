import Foundation
import VitalModel

extension AlertDocument {
  /// Reads a document as the store keeps it; nil when it is none. What is missing stays as in an empty document, so that
  /// documents of older versions are read.
  package init?(json: String) {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    guard let stored = try? decoder.decode(StoredDocument.self, from: Data(json.utf8)) else { return nil }
    self.init()
    alertID = stored.alertId
    sequence = stored.sequence ?? 1
    tenant = stored.tenant ?? ""
    patient = stored.patient ?? ""
    patients = stored.patients ?? []
    (code, device, unit) = (stored.code, stored.device, stored.unit)
    (value, limit) = (stored.value.flatMap { DecimalValue("\($0)") }, stored.limit.flatMap { DecimalValue("\($0)") })
    message = stored.message ?? ""
    durationSeconds = stored.durationS ?? 0
    (locationUnit, locationBed) = (stored.location?.unit, stored.location?.bed)
    (sources, members) = (stored.sources ?? [], stored.members ?? [])
    takeRule(stored)
    takeState(stored)
    takeAnswers(stored)
  }

  private mutating func takeRule(_ stored: StoredDocument) {
    ruleID = stored.rule?.id ?? ""
    ruleVersion = stored.rule?.version ?? ""
    ruleTitle = stored.rule?.title ?? ""
    ruleMode = stored.rule?.mode ?? "live"
    priority = stored.priority.flatMap { Priority(text: $0) } ?? priority
    kind = stored.kind.flatMap { AlertKind(rawValue: $0) } ?? kind
  }

  private mutating func takeState(_ stored: StoredDocument) {
    phase = stored.phase.flatMap { AlertPhase(rawValue: $0) } ?? phase
    state = stored.state.flatMap { AlertState(rawValue: $0) } ?? state
    onsetTime = stored.onsetTime.flatMap(Timestamp.parse) ?? 0
    detectedTime = stored.detectedTime.flatMap(Timestamp.parse) ?? 0
    stillActive = stored.stillActive ?? true
    unverified = stored.unverified ?? false
    verification = stored.verification
    retrospective = stored.retrospective ?? false
    simulated = stored.simulated ?? false
    if let held = stored.suppressed, let stage = SuppressionStage(rawValue: held.reason) {
      suppressed = Suppressed(stage: stage, by: held.by, until: held.until.flatMap(Timestamp.parse))
    }
    isRecurrent = stored.recurrent ?? false
    isRealarm = stored.realarm ?? false
    endReason = stored.endReason
  }

  private mutating func takeAnswers(_ stored: StoredDocument) {
    attemptLevel = stored.attemptLevel ?? 0
    respondBy = stored.respondBy.flatMap(Timestamp.parse)
    escalatedTo = stored.escalatedTo
    responsibility = stored.responsibility.flatMap { Responsibility(rawValue: $0.state) } ?? responsibility
    responder = stored.responsibility?.by
    guard let given = stored.acknowledgement else { return }
    acknowledgement = Acknowledgement(
      by: given.by, kind: given.class.flatMap { AcknowledgementClass(rawValue: $0) }, note: given.note,
      time: Timestamp.parse(given.time) ?? 0)
  }
}

/// The members of the document by their names (CONTRACT section 4).
private struct StoredDocument: Decodable {
  struct Rule: Decodable {
    var id: String?
    var version: String?
    var title: String?
    var mode: String?
  }
  struct Location: Decodable {
    var unit: String?
    var bed: String?
  }
  struct Suppressed: Decodable {
    var reason: String
    var by: String
    var until: String?
  }
  struct Acknowledgement: Decodable {
    var by: String
    var `class`: String?
    var note: String?
    var time: String
  }
  struct Responsibility: Decodable {
    var state: String
    var by: String?
  }

  var alertId: String
  var sequence: Int?
  var tenant: String?
  var patient: String?
  var patients: [String]?
  var device: String?
  var rule: Rule?
  var priority: String?
  var kind: String?
  var phase: String?
  var state: String?
  var onsetTime: String?
  var detectedTime: String?
  var code: String?
  var value: Decimal?
  var unit: String?
  var limit: Decimal?
  var durationS: Int64?
  var message: String?
  var location: Location?
  var sources: [String]?
  var members: [String]?
  var unverified: Bool?
  var verification: String?
  var attemptLevel: Int?
  var respondBy: String?
  var stillActive: Bool?
  var retrospective: Bool?
  var simulated: Bool?
  var suppressed: Suppressed?
  var acknowledgement: Acknowledgement?
  var responsibility: Responsibility?
  var escalatedTo: String?
  var recurrent: Bool?
  var realarm: Bool?
  var endReason: String?
}
