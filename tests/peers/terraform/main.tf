variable "image" {}
provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
resource "aws_workspaces_ip_group" "office" {
  name        = "office"
  description = "offices"
  rules {
    source      = "10.0.0.0/16"
    description = "headquarters"
  }
  rules { source = "192.0.2.7/32" }
  tags = { Name = "office" }
}
resource "aws_workspaces_directory" "main" {
  directory_id = "d-90678fbbbb"
  subnet_ids   = ["subnet-00000000000000001", "subnet-00000000000000002"]
  ip_group_ids = [aws_workspaces_ip_group.office.id]
  tags         = { Name = "main" }
  saml_properties {
    status          = "ENABLED"
    user_access_url = "https://sso.example.com/"
  }
  certificate_based_auth_properties {
    status                    = "ENABLED"
    certificate_authority_arn = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/12345678-1234-1234-1234-123456789012"
  }
  self_service_permissions {
    change_compute_type  = true
    increase_volume_size = true
    rebuild_workspace    = true
    restart_workspace    = true
    switch_running_mode  = true
  }
  workspace_access_properties {
    device_type_android    = "ALLOW"
    device_type_chromeos   = "ALLOW"
    device_type_ios        = "ALLOW"
    device_type_linux      = "DENY"
    device_type_osx        = "ALLOW"
    device_type_web        = "DENY"
    device_type_windows    = "DENY"
    device_type_zeroclient = "DENY"
  }
  workspace_creation_properties {
    custom_security_group_id            = "sg-00000000000000001"
    default_ou                          = "OU=AWS,DC=Workgroup,DC=Example,DC=com"
    enable_internet_access              = true
    enable_maintenance_mode             = false
    user_enabled_as_local_administrator = false
  }
}
resource "aws_workspaces_directory" "plain" {
  directory_id = "d-90678fbbbc"
}
resource "aws_workspaces_directory" "pools" {
  subnet_ids                      = ["subnet-00000000000000001", "subnet-00000000000000002"]
  workspace_type                  = "POOLS"
  workspace_directory_name        = "pools"
  workspace_directory_description = "for pools"
  user_identity_type              = "CUSTOMER_MANAGED"
}
data "aws_workspaces_bundle" "standard" {
  owner = "AMAZON"
  name  = "Standard with Windows Server 2022"
}
data "aws_workspaces_directory" "again" { directory_id = aws_workspaces_directory.main.id }
data "aws_workspaces_image" "first" { image_id = var.image }
resource "aws_workspaces_workspace" "avery" {
  directory_id                   = aws_workspaces_directory.main.id
  bundle_id                      = data.aws_workspaces_bundle.standard.id
  user_name                      = "avery"
  root_volume_encryption_enabled = true
  user_volume_encryption_enabled = true
  volume_encryption_key          = "alias/aws/workspaces"
  workspace_properties {
    compute_type_name                         = "STANDARD"
    user_volume_size_gib                      = 50
    root_volume_size_gib                      = 80
    running_mode                              = "AUTO_STOP"
    running_mode_auto_stop_timeout_in_minutes = 60
  }
  tags = { Department = "IT" }
}
data "aws_workspaces_workspace" "again" { workspace_id = aws_workspaces_workspace.avery.id }
resource "aws_workspaces_connection_alias" "desktop" {
  connection_string = "desktop.example.com"
  tags              = { Name = "desktop" }
}
