# The autoscaler on an EKS cluster, with all that it needs: a group, the role with the shipped policies, the queue of interruptions
# with its rules, and the Helm releases. README.md says how to start.
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws  = { source = "hashicorp/aws", version = "~> 6.0" }
    helm = { source = "hashicorp/helm", version = "~> 3.0" }
  }
}

variable "region" { type = string }
variable "cluster_name" { type = string } # of an EKS cluster that has an OIDC provider in IAM
variable "subnet_ids" { type = list(string) }
variable "node_security_groups" { type = list(string) }
variable "node_instance_profile" { type = string }
variable "image_repository" { type = string } # of the autoscaler
variable "image_tag" { type = string }

provider "aws" {
  region = var.region
}

provider "helm" {
  kubernetes = {
    host                   = data.aws_eks_cluster.this.endpoint
    cluster_ca_certificate = base64decode(data.aws_eks_cluster.this.certificate_authority[0].data)
    exec = {
      api_version = "client.authentication.k8s.io/v1beta1"
      command     = "aws"
      args        = ["eks", "get-token", "--cluster-name", var.cluster_name, "--region", var.region]
    }
  }
}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

data "aws_eks_cluster" "this" {
  name = var.cluster_name
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/eks/optimized-ami/${data.aws_eks_cluster.this.version}/amazon-linux-2023/x86_64/standard/recommended/image_id"
}

locals {
  partition = data.aws_partition.current.partition
  issuer    = replace(data.aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://", "")

  # The part of a NodeConfig that all nodes have in common.
  cluster = jsonencode({
    name                 = var.cluster_name
    apiServerEndpoint    = data.aws_eks_cluster.this.endpoint
    certificateAuthority = data.aws_eks_cluster.this.certificate_authority[0].data
    cidr = coalesce(
      data.aws_eks_cluster.this.kubernetes_network_config[0].service_ipv4_cidr,
      data.aws_eks_cluster.this.kubernetes_network_config[0].service_ipv6_cidr
    )
  })
}

# A group.

resource "aws_launch_template" "web_spot" {
  name                   = "web-spot"
  image_id               = data.aws_ssm_parameter.image.value
  vpc_security_group_ids = var.node_security_groups
  iam_instance_profile { name = var.node_instance_profile }
  user_data = base64encode(<<-YAML
    apiVersion: node.eks.aws/v1alpha1
    kind: NodeConfig
    spec:
      cluster: ${local.cluster}
      kubelet:
        flags:
        - --node-labels=team=web
    YAML
  )
}

resource "aws_autoscaling_group" "web_spot" {
  name                = "web-spot"
  min_size            = 0
  max_size            = 10
  vpc_zone_identifier = var.subnet_ids
  mixed_instances_policy {
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.web_spot.id
        version            = "$Latest"
      }
      override { instance_type = "m5.large" }
      override { instance_type = "m5a.large" }
    }
    instances_distribution {
      on_demand_base_capacity                  = 0
      on_demand_percentage_above_base_capacity = 0
      spot_allocation_strategy                 = "price-capacity-optimized"
    }
  }
  dynamic "tag" {
    for_each = {
      "kubernetes.io/cluster/${var.cluster_name}"     = "owned"
      "k8s.io/cluster-autoscaler/enabled"             = "true"
      "k8s.io/cluster-autoscaler/${var.cluster_name}" = "owned"
    }
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }
  # Without it each apply undoes what the autoscaler did.
  lifecycle { ignore_changes = [desired_capacity] }
}

# The queue of interruptions, the EventBridge rules that fill it, and the policy to read it.

module "interruption" {
  source       = "../interruption"
  cluster_name = var.cluster_name
}

# The autoscaler's role. Its policies are the shipped files, not copies.

resource "aws_iam_policy" "autoscaler" {
  name   = "${var.cluster_name}-cluster-autoscaler"
  policy = replace(file("${path.module}/../iam/policy-${local.partition}.json"), "CLUSTER_NAME", var.cluster_name)
}

resource "aws_iam_role" "autoscaler" {
  name = "${var.cluster_name}-cluster-autoscaler"
  assume_role_policy = replace(
    replace(file("${path.module}/../iam/trust-irsa-${local.partition}.json"), "ACCOUNT_ID", data.aws_caller_identity.current.account_id),
    "oidc.eks.REGION.${data.aws_partition.current.dns_suffix}/id/OIDC_ID", local.issuer
  )
}

resource "aws_iam_role_policy_attachment" "autoscaler" {
  role       = aws_iam_role.autoscaler.name
  policy_arn = aws_iam_policy.autoscaler.arn
}

resource "aws_iam_role_policy_attachment" "interruption" {
  role       = aws_iam_role.autoscaler.name
  policy_arn = module.interruption.consumer_policy_arn
}

# The releases. The definitions are for provisioning requests, capacity buffers and capacity quotas. Leave them out if you use none.

resource "helm_release" "definitions" {
  name      = "asg-autoscaler-crds"
  namespace = "kube-system"
  chart     = "${path.module}/../crds"
}

resource "helm_release" "autoscaler" {
  name      = "cluster-autoscaler"
  namespace = "kube-system"
  chart     = "${path.module}/../chart"
  values = [yamlencode({
    fullnameOverride = "cluster-autoscaler" # the ServiceAccount's name in the role's trust policy
    awsRegion        = var.region
    autoDiscovery    = { clusterName = var.cluster_name }
    image            = { repository = var.image_repository, tag = var.image_tag }
    asg              = { interruptionQueue = module.interruption.queue_url }
    rbac             = { serviceAccount = { annotations = { "eks.amazonaws.com/role-arn" = aws_iam_role.autoscaler.arn } } }
  })]
  depends_on = [
    helm_release.definitions,
    aws_iam_role_policy_attachment.autoscaler,
    aws_iam_role_policy_attachment.interruption,
  ]
}
