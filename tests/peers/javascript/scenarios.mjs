// Scenarios for the AWS SDK for JavaScript v3: `node scenarios.mjs json|cbor SCENARIO` prints one line of JSON.
import { readFileSync } from "node:fs";
import * as sdk from "@aws-sdk/client-workspaces";
import { AwsSmithyRpcV2CborProtocol } from "@aws-sdk/core/protocols";

const [, , protocol, scenario] = process.argv;
const cbor = new AwsSmithyRpcV2CborProtocol({
  defaultNamespace: "com.amazonaws.workspaces",
  serviceTarget: "WorkspacesService",
});
const client = new sdk.WorkSpacesClient(protocol === "cbor" ? { protocol: cbor } : {});
const call = (name, input = {}) => client.send(new sdk[`${name}Command`](input));
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const refusal = async (name, input) => {
  try {
    await call(name, input);
    return null;
  } catch (error) {
    return {
      name: error.name,
      isClass: sdk[error.name] !== undefined && error instanceof sdk[error.name],
      isBase: error instanceof sdk.WorkSpacesServiceException,
      status: error.$metadata?.httpStatusCode,
      requestId: typeof error.$metadata?.requestId === "string",
      resourceId: error.ResourceId ?? null,
      attempts: error.$metadata?.attempts,
    };
  }
};

const pair = async () => {
  const { Applications } = await call("DescribeApplications", { Owner: "AMAZON", MaxResults: 25 });
  const office = Applications.find((one) => one.Name === "Microsoft Office LTSC Professional Plus 2021");
  const { Workspaces } = await call("DescribeWorkspaces", { Limit: 25 });
  const desktop = Workspaces.find(
    (one) =>
      one.State === "AVAILABLE" &&
      office.SupportedComputeTypeNames.includes(one.WorkspaceProperties.ComputeTypeName) &&
      office.SupportedOperatingSystemNames.includes(one.WorkspaceProperties.OperatingSystemName) &&
      !one.WorkspaceProperties.OperatingSystemName.includes("WINDOWS_10"),
  );
  return { office, WorkspaceId: desktop.WorkspaceId, ApplicationId: office.ApplicationId };
};

const scenarios = {
  async operations() {
    const { office, ...both } = await pair();
    const { WorkspaceId, ApplicationId } = both;
    const types = { AssociatedResourceTypes: ["APPLICATION"] };
    const staged = await call("AssociateWorkspaceApplication", both);
    const reverted = await call("DisassociateWorkspaceApplication", both);
    const after = await call("DescribeWorkspaceAssociations", { WorkspaceId, ...types });
    await call("AssociateWorkspaceApplication", both);
    const deployed = await call("DeployWorkspaceApplications", { WorkspaceId, Force: false });
    const seen = new Set();
    for (let n = 0; n < 400 && !seen.has("COMPLETED"); n += 1) {
      const now = await call("DescribeWorkspaceAssociations", { WorkspaceId, ...types });
      seen.add(now.Associations[0].State);
      await wait(50);
    }
    const where = await call("DescribeApplicationAssociations", {
      ApplicationId,
      AssociatedResourceTypes: ["WORKSPACE"],
    });
    const bundles = await call("DescribeWorkspaceBundles", {});
    const bundle = bundles.Bundles.find((one) => one.Name.startsWith("Office 2021"));
    const ofBundle = await call("DescribeBundleAssociations", { BundleId: bundle.BundleId, ...types });
    const ofImage = await call("DescribeImageAssociations", { ImageId: bundle.ImageId, ...types });
    const { Directories } = await call("DescribeWorkspaceDirectories", {});
    const order = { DirectoryId: Directories[0].DirectoryId, UserName: "js", BundleId: bundle.BundleId };
    const created = await call("CreateWorkspaces", {
      Workspaces: [order, { ...order, DirectoryId: "d-0000000000" }],
    });
    await call("ModifyWorkspaceProperties", { WorkspaceId, WorkspaceProperties: { RunningMode: "AUTO_STOP" } });
    return {
      staged: staged.Association.State,
      reverted: reverted.Association.State,
      after: after.Associations.length,
      deployed: deployed.Deployment.Associations.map((one) => one.State),
      last: [...seen].pop(),
      where: where.Associations.some((one) => one.AssociatedResourceId === WorkspaceId),
      brought: [ofBundle, ofImage].map((one) => one.Associations[0].AssociatedResourceId === ApplicationId),
      pending: created.PendingRequests.length,
      failed: created.FailedRequests.map((one) => one.ErrorCode),
    };
  },
  async pages() {
    const sizes = [];
    const ids = new Set();
    for await (const page of sdk.paginateDescribeWorkspaces({ client, pageSize: 7 }, {})) {
      sizes.push(page.Workspaces.length);
      page.Workspaces.forEach((one) => ids.add(one.WorkspaceId));
    }
    return { sizes, distinct: ids.size };
  },
  async errors() {
    const { ApplicationId } = await pair();
    const { Workspaces } = await call("DescribeWorkspaces", { Limit: 25 });
    const linux = Workspaces.find((one) => !one.WorkspaceProperties.OperatingSystemName.startsWith("WINDOWS"));
    return [
      await refusal("DeployWorkspaceApplications", { WorkspaceId: "ws-00000000" }),
      await refusal("AssociateWorkspaceApplication", { WorkspaceId: linux.WorkspaceId, ApplicationId }),
      await refusal("DescribeApplications", { MaxResults: 99 }),
      await refusal("DescribeTags", { ResourceId: "anything" }),
    ];
  },
  async dates() {
    const { Applications } = await call("DescribeApplications", { MaxResults: 1 });
    const when = Applications[0].Created;
    return { isDate: when instanceof Date, year: when.getUTCFullYear() };
  },
  async retries() {
    const { Workspaces, $metadata } = await call("DescribeWorkspaces", { Limit: 1 });
    return { found: Workspaces.length, attempts: $metadata.attempts };
  },
};

const version = JSON.parse(readFileSync("node_modules/@aws-sdk/client-workspaces/package.json", "utf-8")).version;
console.log(JSON.stringify({ version, result: await scenarios[scenario]() }));
