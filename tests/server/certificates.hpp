// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

/// Keys and certificates, made for a test.
namespace cubby::server::testing {

class Certificate {
 public:
  /// Signed by `authority`, or, without one, an authority that has signed itself.
  explicit Certificate(const std::string& name, const Certificate* authority = nullptr)
      : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    static long serial = 1;
    X509* certificate = certificate_.get();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key_.get());
    X509_NAME* subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate, authority == nullptr ? subject : X509_get_subject_name(authority->certificate_.get()));
    if (authority == nullptr) {
      add(NID_basic_constraints, "critical,CA:TRUE");
    } else {
      add(NID_subject_alt_name, "IP:127.0.0.1");
    }
    if (X509_sign(certificate, (authority == nullptr ? *this : *authority).key_.get(), EVP_sha256()) == 0) {
      throw std::runtime_error("can't sign a certificate");
    }
  }

  /// Write files, as PEM. A password encrypts the key.
  void write_certificate(const std::string& path) const {
    const File file(path);
    PEM_write_X509(file.get(), certificate_.get());
  }
  void write_key(const std::string& path, const std::string& password = {}) const {
    const File file(path);
    PEM_write_PrivateKey(file.get(), key_.get(), password.empty() ? nullptr : EVP_aes_128_cbc(),
                         password.empty() ? nullptr : reinterpret_cast<const unsigned char*>(password.data()),
                         static_cast<int>(password.size()), nullptr, nullptr);
  }

 private:
  class File {
   public:
    explicit File(const std::string& path) : file_(std::fopen(path.c_str(), "w")) {
      if (file_ == nullptr) throw std::runtime_error("can't write " + path);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { std::fclose(file_); }
    std::FILE* get() const { return file_; }

   private:
    std::FILE* file_;
  };
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
  };

  void add(int extension, const char* value) {
    X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, nullptr, extension, value);
    X509_add_ext(certificate_.get(), made, -1);
    X509_EXTENSION_free(made);
  }

  std::unique_ptr<EVP_PKEY, Free> key_;
  std::unique_ptr<X509, Free> certificate_;
};

}  // namespace cubby::server::testing
