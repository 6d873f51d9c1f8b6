import AlertJournal
import Configuration
import Foundation
import KeyValueStore
import VitalModel

/// What somebody does with the keys of a store that is open: by the service that runs on it, or by a command where none
/// does.
package struct KeysRequest: Codable, Sendable {
  package enum Action: String, Codable, Sendable {
    case status
    case rotateMaster = "rotate-master"
    case rotateTenant = "rotate-tenant"
    case hold
    case release
  }
  package var action: Action
  /// A tenant's name (`all`: every one) or a patient's id.
  package var subject: String
  /// Where the new master key is.
  package var new: String
  /// The patient's tenant, where the id alone does not say who.
  package var tenant: String?
  package var by: String
  package var reason: String

  package init(
    _ action: Action, subject: String = "", new: String = "", tenant: String? = nil, by: String = "",
    reason: String = ""
  ) {
    self.action = action
    self.subject = subject
    self.new = new
    self.tenant = tenant
    self.by = by
    self.reason = reason
  }
}

/// Why something was not done with keys, in one line.
package struct KeysRefusal: Error, Equatable {
  package var line: String
  package init(_ line: String) { self.line = line }
}

/// What was done.
package struct KeysAnswer: Sendable {
  /// Keys wrapped anew.
  package var wrapped: Int?
  /// Directory number of the patient it was about.
  package var patient: UInt32?
  package var status: KeyService.Status?

  package var json: String {
    var out = JSONText()
    out.object { out in
      out.field("ok", true)
      if let wrapped { out.field("wrapped", wrapped) }
      if let patient { out.field("patient", Int(patient)) }
      if let status { KeysAnswer.write(status, to: &out) }
    }
    return out.text
  }

  private static func write(_ status: KeyService.Status, to out: inout JSONText) {
    out.field("encrypted", true)
    out.field("store_generation", Int(status.storeGeneration))
    out.array("tenants") { out in
      for tenant in status.tenants {
        out.object {
          $0.field("tenant", tenant.name)
          $0.field("generation", Int(tenant.generation))
          $0.field("patients", tenant.patients)
        }
      }
    }
    out.field("patients", status.patients)
    out.field("hours", status.hours)
    out.array("held") { out in
      for (patient, since) in status.holds.sorted(by: { $0.key < $1.key }) {
        out.object {
          $0.field("patient", Int(patient))
          $0.field("since", Timestamp.format(since))
        }
      }
    }
    out.array("erased") { out in
      for stone in status.tombstones {
        out.object {
          $0.field("patient", Int(stone.patient))
          $0.field("time", Timestamp.format(stone.timeMs))
          $0.field("proof", stone.proof.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
          $0.field("by", stone.actor)
          $0.field("reason", stone.reason)
        }
      }
    }
  }
}

/// Carries out requests about keys. Called from the control socket's thread, or by a command.
package struct KeysDesk {
  private let store: VigilStore
  private let now: Int64

  /// - Parameter now: milliseconds since 1970.
  package init(store: VigilStore, now: Int64) {
    self.store = store
    self.now = now
  }

  package func answer(_ request: KeysRequest) throws(KeysRefusal) -> KeysAnswer {
    do {
      switch request.action {
      case .status:
        var status = KeyService.Status()
        status.holds = try store.holds.all()
        if let service = KeyService(store) { status = try service.status() }
        return KeysAnswer(status: status)
      case .rotateMaster:
        guard let reference = MasterKeyReference(request.new), let key = try MasterKeySource.load(reference) else {
          throw KeysRefusal("the new master key must be env:NAME, file:PATH or command:/PATH WORDS")
        }
        let count = try service().rotateMaster(to: key, actor: request.by, detail: "\(reference)", atMs: now)
        return KeysAnswer(wrapped: count)
      case .rotateTenant:
        let name = request.subject == "all" ? nil : request.subject
        guard let count = try service().rotateTenant(name, actor: request.by, atMs: now) else {
          throw KeysRefusal("the store has no tenant `\(request.subject)`; `vigil keys status` lists them")
        }
        return KeysAnswer(wrapped: count)
      case .hold, .release: return try setHold(request)
      }
    } catch let refusal as KeysRefusal {
      throw refusal
    } catch let failure as MasterKeySource.Failure {
      throw KeysRefusal(failure.line)
    } catch {
      throw KeysRefusal("\(error)")
    }
  }

  private func service() throws(KeysRefusal) -> KeyService {
    guard let service = KeyService(store) else {
      throw KeysRefusal("the store is not encrypted; `vigil keys seal` makes it so")
    }
    return service
  }

  private func setHold(_ request: KeysRequest) throws -> KeysAnswer {
    let patient = try patient(request.subject, tenant: request.tenant)
    let batch = store.makeBatch()
    let isHold = request.action == .hold
    if isHold { store.holds.hold(patient, atMs: now, in: batch) } else { store.holds.release(patient, in: batch) }
    try store.audit.record(
      AuditEntry(
        time: now, actor: request.by, action: isHold ? "keys.hold" : "keys.release", subject: "patient #\(patient)",
        reason: request.reason), with: batch, sync: true)
    return KeysAnswer(patient: patient)
  }

  /// The number of a patient: of an id, or of `#` and the number itself.
  package func patient(_ id: String, tenant: String?) throws -> UInt32 {
    if id.hasPrefix("#"), let number = UInt32(id.dropFirst()) { return number }
    let found = try store.registry.patients(named: id, tenant: tenant)
    guard let first = found.first else { throw KeysRefusal("the store knows no patient `\(id)`") }
    guard found.count == 1 else {
      throw KeysRefusal(
        "several tenants have a patient `\(id)`; name one with --tenant: "
          + found.map(\.tenant).joined(separator: ", "))
    }
    return first.number
  }
}
